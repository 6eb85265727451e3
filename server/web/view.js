// Turns and cards on the page. Everything people or models said is set as text, never as markup.

/** An element: `el("p", { class: "x" }, "words", child)`. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** A posted clip: a small player, or its name where the browser cannot play it. */
export function clip({ url, name }) {
  const video = el("video", { src: url, muted: true, loop: true, playsinline: true, autoplay: true, "aria-label": name });
  video.muted = true; // the attribute alone does not mute a video made by script
  const frame = el("figure", { class: "clip" }, video);
  video.addEventListener("error", () => video.replaceWith(picture(url, name)));
  return frame;
}

// A GIF is a picture to the browser; what it cannot show at all is told by name.
function picture(url, name) {
  const image = el("img", { src: url, alt: name });
  image.addEventListener("error", () => image.replaceWith(el("span", { class: "file" }, `🎞 ${name}`)));
  return image;
}

/** A user's turn. */
export function question({ text, files }) {
  return el(
    "li",
    { class: "turn user" },
    el("h3", { class: "unseen" }, "You"),
    files.length ? el("div", { class: "clips" }, ...files.map(clip)) : "",
    el("p", { class: "words" }, text),
  );
}

/** An assistant's turn, ready to grow. */
export class Reply {
  constructor() {
    this.words = el("p", { class: "words" });
    this.cards = el("div", { class: "cards" });
    this.waiting = el("p", { class: "waiting", "aria-label": "Thinking" }, el("i"), el("i"), el("i"));
    this.node = el("li", { class: "turn assistant" }, el("h3", { class: "unseen" }, "gpt4video"), this.waiting, this.words, this.cards);
    this.known = new Map();
  }

  /** All words so far. */
  say(text) {
    this.waiting.remove();
    this.words.textContent = text;
  }

  /** A drawn video in its newest state. */
  show(video) {
    this.waiting.remove();
    if (!this.known.has(video.id)) {
      const card = new Card();
      this.known.set(video.id, card);
      this.cards.append(card.node);
    }
    this.known.get(video.id).show(video);
  }

  /** The answer has ended; `note` says why, where that is not plain. */
  end(note) {
    this.waiting.remove();
    for (const card of this.known.values()) card.stopped();
    if (note) this.node.append(el("p", { class: "note" }, note));
  }

  /** The answer failed. */
  fail(message, again) {
    this.end();
    const button = again && el("button", { type: "button", class: "quiet", onclick: again }, "Try again");
    this.node.append(el("div", { class: "error", role: "alert" }, el("p", {}, message), button || ""));
  }
}

/** A video being drawn: preview and progress, then a player. */
class Card {
  constructor() {
    this.stage = el("div", { class: "stage" });
    this.bar = el("progress", { max: 100, value: 0, "aria-label": "Drawing" });
    this.label = el("span", { class: "label" }, "Waiting to be drawn");
    this.percent = el("span", { class: "percent" });
    this.status = el("div", { class: "status" }, el("div", { class: "line" }, this.label, this.percent), this.bar);
    this.caption = el("figcaption");
    this.node = el("figure", { class: "card", "data-status": "queued" }, this.stage, this.status, this.caption);
  }

  show(video) {
    this.node.dataset.status = video.status;
    const [width, height] = video.size.split("x").map(Number);
    this.stage.style.aspectRatio = `${width} / ${height}`;
    this.caption.textContent = video.prompt ?? "";
    SHOW[video.status](this, video);
  }

  /** Nothing more will come: what is unfinished was stopped. */
  stopped() {
    if (this.node.dataset.status === "completed" || this.node.dataset.status === "failed") return;
    this.node.dataset.status = "failed";
    this.status.replaceChildren(el("p", { class: "why" }, "Stopped."));
  }
}

// One line for each status of a video.
const SHOW = {
  queued(card, video) {
    const before = video.queue_position;
    card.label.textContent = before ? `Waiting to be drawn: ${before} before this` : "Waiting to be drawn";
  },
  in_progress(card, video) {
    card.label.textContent = "Drawing";
    card.percent.textContent = `${video.progress} %`;
    card.bar.value = video.progress;
    if (!video.preview_url) return;
    const image = card.stage.querySelector("img") ?? card.stage.appendChild(el("img", { alt: "Preview of the drawing" }));
    image.src = video.preview_url;
  },
  completed(card, video) {
    const player = el("video", {
      src: video.url, controls: true, autoplay: true, loop: true, muted: true, playsinline: true,
      "aria-label": `Drawn video: ${video.prompt ?? ""}`,
    });
    player.muted = true; // browsers start only muted videos by themselves
    player.addEventListener("loadeddata", () => card.stage.replaceChildren(player), { once: true });
    player.addEventListener("error", () => card.status.replaceChildren(el("p", { class: "why" }, "This browser cannot play the video.")));
    card.stage.append(player);
    const facts = [`${video.seconds} s`, video.size.replace("x", "×"), video.seed == null ? "" : `seed ${video.seed}`];
    const save = el("a", { href: video.url, download: `${video.id}.mp4` }, "Download");
    card.status.replaceChildren(el("div", { class: "line" }, el("span", {}, facts.filter(Boolean).join(" · ")), save));
  },
  failed(card, video) {
    card.status.replaceChildren(el("p", { class: "why" }, video.error?.message ?? "The drawing failed."));
  },
};
