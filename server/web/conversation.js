// What was said so far, and how it is told to the server: the whole conversation, each time.
//
//   user turn       { role, text, files: [{ id, name, url, file }] }
//   assistant turn  { role, text, videos: [video objects] }

export class Conversation {
  turns = [];

  /** Add a question and an empty answer; gives both. */
  ask(text, files) {
    const question = { role: "user", text, files };
    const reply = { role: "assistant", text: "", videos: [] };
    this.turns.push(question, reply);
    return [question, reply];
  }

  /** Take back the last question and its answer, to ask again. */
  takeBack() {
    this.turns.splice(-2);
  }

  /** Keep the newest state of a drawn video in its turn. */
  keep(reply, video) {
    const place = reply.videos.findIndex((known) => known.id === video.id);
    if (place >= 0) reply.videos[place] = video;
    else reply.videos.push(video);
  }

  /** Every posted video, to post them once more. */
  get files() {
    return this.turns.flatMap((turn) => turn.files ?? []);
  }

  /**
   * The chat API's messages. Questions whose answer failed before its first word are left out; the videos
   * posted with them come with the next question.
   */
  messages() {
    const told = [];
    let files = [];
    for (let i = 0; i < this.turns.length; i += 2) {
      const [question, reply] = this.turns.slice(i, i + 2);
      const last = i + 2 === this.turns.length;
      const drawn = reply.videos.filter((video) => video.prompt && video.status === "completed");
      const empty = !reply.text && !drawn.length;
      files.push(...question.files);
      if (empty && !last) continue;
      told.push({
        role: "user",
        content: [
          ...files.map((file) => ({ type: "file", file: { file_id: file.id } })),
          { type: "text", text: question.text },
        ],
      });
      files = [];
      if (empty) continue;
      const said = { role: "assistant", content: reply.text };
      if (drawn.length) said.videos = drawn.map(({ id, prompt }) => ({ id, prompt }));
      told.push(said);
    }
    return told;
  }
}
