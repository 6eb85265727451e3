// The page: what people do, and what happens then.

import { answer, ready, upload, useKey } from "./api.js";
import { Conversation } from "./conversation.js";
import { Posted } from "./posted.js";
import { el, question, Reply } from "./view.js";

const EXAMPLES = [
  "Draw a red circle moving left on a white background",
  "Draw a blue square going up on a black background",
  "Draw a green star that spins",
  "What can you do?",
];
const ENDS = {
  stop: "",
  length: "The answer was cut at its longest length.",
  content_filter: "The safety filter ended this answer.",
};

const LOST = "file_not_found"; // what the server says of a video it no longer has
const GONE = "The server no longer has a video of this conversation; it may have been started anew. “Try again” posts it once more.";

const at = (id) => document.getElementById(id);
let conversation = new Conversation();
let leaving = null; // the AbortController of the answer that is on its way
let isReady = false;
let waits = false; // Enter was pressed before the message could leave

const posted = new Posted(at("posted"), refresh, complain, Number(at("composer").dataset.maxBytes));

// ---- asking

async function ask(text, files) {
  const [asked, reply] = conversation.ask(text, files);
  const asking = conversation;
  const questionNode = question(asked);
  const view = new Reply();
  at("welcome").hidden = true;
  at("turns").append(questionNode, view.node);
  follow(true);
  leaving = new AbortController();
  const mine = leaving;
  refresh();

  const retold = (choice) => {
    asking.keep(reply, choice.delta.video);
    view.show(choice.delta.video);
    follow();
  };
  const handlers = {
    TextDelta(choice) {
      reply.text += choice.delta.content;
      view.say(reply.text);
      follow();
    },
    VideoRequested: retold,
    VideoProgress: retold,
    VideoDone: retold,
    VideoFailed: retold,
    Finished(choice) {
      view.end(ENDS[choice.finish_reason]);
      speak(reply.text + (reply.videos.length ? " A video is shown." : ""));
    },
  };
  try {
    await answer(asking.messages(), handlers, mine.signal);
  } catch (error) {
    if (mine.signal.aborted) view.end("Stopped.");
    else view.fail(error.code === LOST ? GONE : error.message, asking === conversation ? () => again(error) : null);
  } finally {
    if (leaving === mine) leaving = null;
    refresh();
    follow();
  }

  async function again(error) {
    if (leaving || asking !== conversation || conversation.turns.at(-1) !== reply) return;
    if (error.code === LOST && !(await post(asking.files))) return;
    conversation.takeBack();
    questionNode.remove();
    view.node.remove();
    ask(text, files);
  }
}

// Post videos once more; false, and a word about it, where that fails.
async function post(files) {
  try {
    for (const entry of files) entry.id = (await upload(entry.file)).id;
    return true;
  } catch (error) {
    complain(error.message);
    return false;
  }
}

// What a message has to wait for; empty when it can leave.
function hindrance() {
  if (leaving) return "this answer has ended";
  if (!isReady) return "the model is loaded";
  return posted.busy ? "the video is uploaded" : "";
}

function submit(event) {
  event?.preventDefault();
  const text = at("words").value.trim();
  if (!text && posted.entries.length) return complain("Ask something about the video.");
  if (!text) return;
  if (at("state").dataset.state === "failed") return complain(at("state-words").textContent);
  const until = hindrance();
  complain(until && `Your message is sent as soon as ${until}.`);
  waits = Boolean(until);
  if (waits) return;
  at("words").value = "";
  ask(text, posted.take());
}

function begin() {
  leaving?.abort();
  conversation = new Conversation();
  at("turns").replaceChildren();
  at("welcome").hidden = false;
  complain("");
  for (const entry of [...posted.entries]) posted.remove(entry);
  at("words").focus();
}

// ---- showing

function refresh() {
  const words = at("words");
  words.style.height = "auto";
  words.style.height = `${words.scrollHeight}px`;
  at("send").hidden = Boolean(leaving);
  at("stop").hidden = !leaving;
  at("send").disabled = Boolean(hindrance()) || !words.value.trim();
  if (waits && !hindrance()) submit();
}

// Stay at the end of the conversation, unless the reader has scrolled away from it.
let stays = true;
function follow(force) {
  const box = at("scroll");
  stays ||= Boolean(force);
  if (stays) box.scrollTop = box.scrollHeight;
}

function complain(message) {
  waits = false;
  at("notice").textContent = message;
  at("notice").hidden = !message;
}

// Whole answers are read out once; reading every word as it comes would stutter.
function speak(text) {
  at("spoken").textContent = text;
}

function state(name, words) {
  at("state").dataset.state = name;
  at("state-words").textContent = words;
}

function askForKey(wanted) {
  if (at("key-form").hidden !== wanted) return;
  at("key-form").hidden = !wanted;
  if (wanted) at("key").focus();
}

let look = () => {}; // ends the pause before the next look at the server
async function watch() {
  for (;;) {
    let pause = 1000;
    try {
      isReady = await ready();
      if (isReady) state("ready", "Ready");
      else state("loading", "Loading the model…");
      if (isReady) pause = 15000;
      askForKey(false);
    } catch (error) {
      isReady = false;
      askForKey(error.code === "invalid_api_key");
      state("failed", error.code ? error.message : "The server does not answer.");
      pause = 3000;
    }
    refresh();
    await new Promise((resolve) => {
      look = resolve;
      setTimeout(resolve, pause);
    });
  }
}

// ---- hands and keys

const videos = (transfer) => [...(transfer?.files ?? [])].filter((file) => !file.type.startsWith("text/"));

at("composer").addEventListener("submit", submit);
at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(at("key").value);
  at("key").value = "";
  look();
});
at("new").addEventListener("click", begin);
at("stop").addEventListener("click", () => leaving?.abort());
at("words").addEventListener("input", () => {
  if (waits) complain("");
  refresh();
});
at("words").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
});
at("file").addEventListener("change", (event) => {
  complain("");
  posted.add(event.target.files);
  event.target.value = "";
  at("words").focus();
});
at("scroll").addEventListener("scroll", () => {
  const box = at("scroll");
  stays = box.scrollHeight - box.scrollTop - box.clientHeight < 48;
});
// Players and previews grow the page after they were added.
new ResizeObserver(() => follow()).observe(at("turns"));

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && leaving) leaving.abort();
});
document.addEventListener("paste", (event) => {
  const files = videos(event.clipboardData);
  if (!files.length) return;
  event.preventDefault();
  posted.add(files);
});
let over = 0; // dragenter and dragleave come once for every element under the pointer
document.addEventListener("dragenter", () => at("drop").classList.toggle("on", ++over > 0));
document.addEventListener("dragleave", () => at("drop").classList.toggle("on", --over > 0));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  over = 0;
  at("drop").classList.remove("on");
  complain("");
  posted.add(videos(event.dataTransfer));
});

for (const text of EXAMPLES) {
  const choose = () => {
    at("words").value = text;
    refresh();
    at("words").focus();
    submit();
  };
  at("examples").append(el("li", {}, el("button", { type: "button", class: "chip", onclick: choose }, text)));
}

refresh();
watch();
