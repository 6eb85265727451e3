// Videos on their way into the next question: chosen, dropped or pasted; uploaded at once, shown small.

import { forget, upload } from "./api.js";
import { clip, el } from "./view.js";

const MOST = 8;

export class Posted {
  /**
   * `list` is where thumbnails go; `changed` is called after every change; `complain` shows an error; `most` is
   * how many bytes the server takes.
   */
  constructor(list, changed, complain, most) {
    Object.assign(this, { list, changed, complain, most, entries: [] });
  }

  get busy() {
    return this.entries.some((entry) => !entry.id);
  }

  add(files) {
    for (const file of files) {
      if (this.entries.length >= MOST) return this.complain(`At most ${MOST} videos fit in one message.`);
      if (file.size < this.most) this.#addOne(file);
      else this.complain(`${file.name} has ${megabytes(file.size)}; at most ${megabytes(this.most)} fit.`);
    }
  }

  async #addOne(file) {
    const leaving = new AbortController();
    const entry = { id: null, name: file.name || "pasted video", url: URL.createObjectURL(file), file, leaving };
    const remove = el("button", { type: "button", class: "remove", "aria-label": `Remove ${entry.name}`, onclick: () => this.remove(entry) }, "×");
    entry.node = el("li", { "aria-busy": "true", title: entry.name }, clip(entry), remove);
    this.entries.push(entry);
    this.list.append(entry.node);
    this.changed();
    try {
      entry.id = (await upload(file, leaving.signal)).id;
      entry.node.removeAttribute("aria-busy");
    } catch (error) {
      if (error.name !== "AbortError") this.complain(`${entry.name}: ${error.message}`);
      this.#drop(entry);
    }
    this.changed();
  }

  remove(entry) {
    entry.leaving.abort();
    if (entry.id) forget(entry.id);
    this.#drop(entry);
    this.changed();
  }

  #drop(entry) {
    this.entries = this.entries.filter((other) => other !== entry);
    entry.node.remove();
    URL.revokeObjectURL(entry.url);
  }

  /** Hand over all videos to a question, and begin anew. */
  take() {
    const taken = this.entries.map(({ id, name, url, file }) => ({ id, name, url, file }));
    this.entries = [];
    this.list.replaceChildren();
    this.changed();
    return taken;
  }
}

function megabytes(bytes) {
  return `${Number((bytes / 1e6).toPrecision(3))} MB`;
}
