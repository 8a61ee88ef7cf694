// The drawing pad: pointer events -> strokes, sent while they are drawn.
//
// A drawing goes into the store `drawing`. The server's answer has the number of the drawing that it
// answers (`answered`). The next drawing is sent when the answer is there: a slow machine gets fewer
// questions, never a queue of them.
"use strict";

window.explorerPad = (() => {
  const PAUSE_MS = 40; // between two questions while the pen moves
  const PATIENCE_MS = 1500; // an answer that has not come by then never will
  const PEN = 0.075; // width of the line that is shown, in sides of the pad
  const MOST_BYTES = 10 * 1024 * 1024; // of a picture: base64 must fit into one request
  const state = { strokes: [], picture: null, image: null, serial: 0, sentAt: 0, answered: 0 };
  let canvas, context, current = null, timer = null;

  function start() {
    canvas = document.getElementById("pad");
    context = canvas.getContext("2d");
    canvas.addEventListener("pointerdown", begin);
    canvas.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, end);
    document.getElementById("pad-undo").addEventListener("click", undo);
    document.getElementById("pad-clear").addEventListener("click", clear);
    document.getElementById("pad-choose").addEventListener("click", choose);
    document.addEventListener("keydown", onKey);
    document.addEventListener("paste", (event) => isOpen() && take(event.clipboardData, event));
    const frame = canvas.parentElement;
    frame.addEventListener("dragover", (event) => { event.preventDefault(); frame.classList.add("over"); });
    frame.addEventListener("dragleave", () => frame.classList.remove("over"));
    frame.addEventListener("drop", (event) => { frame.classList.remove("over"); take(event.dataTransfer, event); });
    new MutationObserver(onAnswer).observe(document.getElementById("answered"), { attributes: true });
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
    paint();
  }

  const isOpen = () => canvas.offsetParent !== null;
  const isBlank = () => !state.strokes.length && !state.picture;

  function point(event) {
    const box = canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * canvas.width;
    const y = ((event.clientY - box.top) / box.height) * canvas.height;
    return [Math.round(x * 10) / 10, Math.round(y * 10) / 10];
  }

  function begin(event) {
    if (event.button !== 0 || current !== null) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    if (state.picture) { state.picture = state.image = null; }
    current = event.pointerId;
    state.strokes.push([point(event)]);
    paint();
    ask();
  }

  function move(event) {
    if (event.pointerId !== current) return;
    const stroke = state.strokes[state.strokes.length - 1];
    const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    for (const one of events.length ? events : [event]) stroke.push(point(one));
    paint();
    ask();
  }

  function end(event) {
    if (event.pointerId !== current) return;
    current = null;
    ask();
  }

  function undo() {
    if (state.picture) { state.picture = state.image = null; } else { state.strokes.pop(); }
    changed();
  }

  function clear() {
    Object.assign(state, { strokes: [], picture: null, image: null });
    changed();
  }

  function changed() {
    current = null;
    note("");
    paint();
    ask();
  }

  function onKey(event) {
    const tag = event.target.tagName;
    if (!isOpen() || tag === "INPUT" || event.target.closest(".choice, [role=listbox]")) return;
    if (event.key === "z" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); undo(); }
    if (event.key === "Escape") clear();
  }

  function choose() {
    const input = document.createElement("input");
    Object.assign(input, { type: "file", accept: "image/png,image/jpeg" });
    input.addEventListener("change", () => input.files[0] && read(input.files[0]));
    input.click();
  }

  // Takes a pasted or dropped picture; other dropped things are left alone.
  function take(transfer, event) {
    const files = [...(transfer ? transfer.files : [])];
    if (!files.length) return;
    event.preventDefault();
    read(files.find((file) => file.type.startsWith("image/")) || files[0]);
  }

  function read(file) {
    if (file.size > MOST_BYTES) return note(`${file.name}: too large, at most 10 MB`);
    const reader = new FileReader();
    reader.onload = () => {
      Object.assign(state, { strokes: [], picture: reader.result, image: null });
      const image = new Image();
      image.onload = () => { state.image = image; paint(); };
      image.src = reader.result;
      changed();
    };
    reader.onerror = () => note(`${file.name}: cannot be read`);
    reader.readAsDataURL(file);
  }

  function note(text) {
    window.dash_clientside.set_props("pad-note", { children: text });
  }

  function paint() {
    const side = canvas.width;
    context.clearRect(0, 0, side, side);
    document.getElementById("pad-hint").hidden = !isBlank();
    document.getElementById("pad-undo").disabled = isBlank();
    document.getElementById("pad-clear").disabled = isBlank();
    if (state.image) {
      const scale = Math.min(side / state.image.width, side / state.image.height);
      const [width, height] = [state.image.width * scale, state.image.height * scale];
      context.imageSmoothingEnabled = scale < 1;
      context.drawImage(state.image, (side - width) / 2, (side - height) / 2, width, height);
    }
    context.strokeStyle = context.fillStyle = getComputedStyle(canvas).color;
    Object.assign(context, { lineWidth: PEN * side, lineCap: "round", lineJoin: "round" });
    for (const stroke of state.strokes) {
      context.beginPath();
      context.moveTo(...stroke[0]);
      for (const at of stroke) context.lineTo(...at);
      if (stroke.length === 1) context.lineTo(stroke[0][0] + 0.01, stroke[0][1]);
      context.stroke();
    }
  }

  // Sends the drawing now, or once the last question is answered and a moment has passed.
  function ask() {
    if (timer !== null) return;
    const now = performance.now();
    const isWaiting = state.answered < state.serial && now - state.sentAt < PATIENCE_MS;
    const wait = isWaiting ? PATIENCE_MS - (now - state.sentAt) : state.sentAt + PAUSE_MS - now;
    if (wait > 0) {
      timer = setTimeout(() => { timer = null; ask(); }, wait);
      return;
    }
    send();
  }

  function send() {
    state.serial += 1;
    state.sentAt = performance.now();
    const strokes = state.strokes.map((stroke) => stroke.slice());
    const data = { strokes, picture: state.picture, serial: state.serial };
    window.dash_clientside.set_props("drawing", { data });
  }

  function onAnswer() {
    state.answered = Number(document.getElementById("answered").dataset.serial);
    if (timer === null || state.answered < state.serial) return;
    clearTimeout(timer);
    timer = null;
    ask();
  }

  return { start };
})();
