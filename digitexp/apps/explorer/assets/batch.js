// Files for the batch: chosen or dropped, sent in portions, their rows added to the table.
"use strict";

window.explorerBatch = (() => {
  const MOST_BYTES = 15 * 1024 * 1024; // of a request, and so of a file
  const PORTION = { bytes: 4 * 1024 * 1024, files: 50 };
  let sending = Promise.resolve();

  function start() {
    const drop = document.getElementById("batch-drop");
    document.getElementById("batch-files").addEventListener("click", () => choose(false));
    document.getElementById("batch-folder").addEventListener("click", () => choose(true));
    document.getElementById("batch-path").addEventListener("keydown", (event) => {
      if (event.key === "Enter") document.getElementById("batch-read").click();
    });
    drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      add([...event.dataTransfer.files]);
    });
    // A file dropped beside the pad or the batch would replace the page.
    for (const name of ["dragover", "drop"]) {
      document.addEventListener(name, (event) => event.preventDefault());
    }
  }

  function choose(isFolder) {
    const input = document.createElement("input");
    Object.assign(input, { type: "file", multiple: true, webkitdirectory: isFolder });
    if (!isFolder) input.accept = "image/png,image/jpeg,.zip,application/zip";
    input.addEventListener("change", () => add([...input.files]));
    input.click();
  }

  function note(text) {
    window.dash_clientside.set_props("batch-note", { children: text });
  }

  function portions(files) {
    const found = [];
    let portion = [], bytes = 0;
    for (const file of files) {
      if (portion.length && (bytes + file.size > PORTION.bytes || portion.length >= PORTION.files)) {
        found.push(portion);
        [portion, bytes] = [[], 0];
      }
      portion.push(file);
      bytes += file.size;
    }
    return portion.length ? [...found, portion] : found;
  }

  function add(files) {
    sending = sending.then(() => sendAll(files)).catch((error) => note(String(error.message || error)));
  }

  async function sendAll(files) {
    const large = files.filter((file) => file.size > MOST_BYTES);
    const fit = files.filter((file) => file.size <= MOST_BYTES);
    const said = "too large: at most 15 MB of a file are read";
    let found = large.map((file) => ({ ...EMPTY, file: nameOf(file), note: said }));
    let done = 0;
    for (const portion of portions(fit)) {
      note(`reading ${done + portion.length} of ${fit.length} …`);
      found = found.concat(await send(portion));
      done += portion.length;
    }
    window.dash_clientside.set_props("batch-arrived", { data: found });
    note("");
  }

  const EMPTY = {
    file: "", picture: "", answer: "", probability: null, second: "", second_probability: null,
    note: "", trial: "",
  };
  const nameOf = (file) => file.webkitRelativePath || file.name;

  async function send(files) {
    const form = new FormData();
    for (const file of files) form.append("files", file, nameOf(file));
    const query = new URLSearchParams(window.location.search);
    let response;
    try {
      response = await fetch(`/batch?${query}`, { method: "POST", body: form });
    } catch {
      throw new Error("the explorer does not answer: was it stopped?");
    }
    const answer = await response.json().catch(() => ({ error: `status ${response.status}` }));
    if (answer.error) throw new Error(answer.error);
    return answer.rows;
  }

  return { start };
})();
