// The server's API as this page uses it: files up, answers down, every event by its name.

/** A refusal or a failure, in the server's words. */
export class ApiError extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

// One line for each event of an answer (gpt4video.messages.Event): how it looks in a chunk.
const EVENTS = {
  TextDelta: (choice) => Boolean(choice.delta.content),
  VideoRequested: (choice) => choice.delta.video?.status === "queued",
  VideoProgress: (choice) => choice.delta.video?.status === "in_progress",
  VideoDone: (choice) => choice.delta.video?.status === "completed",
  VideoFailed: (choice) => choice.delta.video?.status === "failed",
  Finished: (choice) => Boolean(choice.finish_reason),
};

// The key lives as long as this tab; where storage is forbidden, as long as this page.
const NAME = "gpt4video-key";
let key = "";
try {
  key = sessionStorage.getItem(NAME) ?? "";
} catch {}

/** Use this key from now on. */
export function useKey(text) {
  key = text.trim();
  try {
    sessionStorage.setItem(NAME, key);
  } catch {}
}

// Every request goes through here, so that none forgets the key.
function call(path, options = {}) {
  const headers = { ...options.headers };
  if (key) headers.Authorization = `Bearer ${key}`;
  return fetch(path, { ...options, headers });
}

async function failure(response) {
  const body = await response.json().catch(() => null);
  const error = body?.error;
  return new ApiError(error?.message ?? `The server answered ${response.status}.`, error?.code);
}

/** True when the model is loaded; false while it loads. Throws when it never will be, or wants another key. */
export async function ready() {
  const response = await call("/ready", { cache: "no-store" });
  if (response.ok) {
    const allowed = await call("/v1/models", { cache: "no-store" });
    if (allowed.status === 401) throw await failure(allowed);
    return true;
  }
  const error = await failure(response);
  if (error.code === "model_loading") return false;
  throw error;
}

/** Post a video; gives the server's file object. */
export async function upload(file, signal) {
  const form = new FormData();
  form.append("purpose", "user_data");
  form.append("file", file, file.name || "pasted-video");
  const response = await call("/v1/files", { method: "POST", body: form, signal });
  if (!response.ok) throw await failure(response);
  return response.json();
}

/** Forget a posted video that will not be sent. */
export function forget(id) {
  return call(`/v1/files/${id}`, { method: "DELETE" }).catch(() => {});
}

/** One streamed answer. Calls `handlers[name](choice)` for each event. */
export async function answer(messages, handlers, signal) {
  const response = await call("/v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ messages, stream: true }),
    signal,
  });
  if (!response.ok) throw await failure(response);
  for await (const data of lines(response.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ApiError(chunk.error.message, chunk.error.code);
    for (const choice of chunk.choices) {
      for (const [name, is] of Object.entries(EVENTS)) if (is(choice)) handlers[name](choice);
    }
  }
  throw new ApiError("The connection broke before the answer ended.", "connection_lost");
}

// The `data:` fields of a stream of Server-Sent Events; comments (keep-alive) are dropped.
async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) if (block.startsWith("data: ")) yield block.slice(6);
  }
}
