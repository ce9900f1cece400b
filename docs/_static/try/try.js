// The editor of the page "Try it here". Without scripts the page is a document like any other: the
// programs that it shows become those that can be run.
const root = document.getElementById("try");
const here = new URL(".", import.meta.url).href;

function element(tag, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
}

const editor = element("textarea", { spellcheck: false, rows: 22, ariaLabel: "A program in Python" });
const start = element("button", { type: "button", textContent: "Run" });
const stop = element("button", { type: "button", textContent: "Stop", disabled: true });
const status = element("span", { className: "try-status" });
status.setAttribute("role", "status");
const output = element("pre", { className: "try-output", hidden: true });
const drawings = element("div");
root.replaceChildren(editor, element("p", { className: "try-bar" }, start, stop, status),
  output, drawings);

// ------------------------------------------------------------------------------------------------
// Python

let worker = null;
let waiting = null;  // how the answer that is due is taken

function say(text) { status.textContent = text; }

function ask(message) {
  return new Promise((take, fail) => {
    waiting = { take, fail };
    worker.postMessage(message);
  });
}

function listen({ data }) {
  if (data.text !== undefined) tell(data.text);
  else if (data.error !== undefined) waiting.fail(new Error(data.error));
  else waiting.take(data);
}

// So much is shown; a program that prints without end does not fill the page.
const MOST = 200_000;
function tell(text) {
  output.hidden = false;
  if (output.textContent.length < MOST) output.append(text);
}

async function python() {
  if (worker) return;
  say("Python is being loaded, some 14 MB the first time …");
  worker = new Worker(here + "worker.js", { type: "module" });
  worker.onmessage = listen;
  worker.onerror = event => waiting?.fail(new Error(event.message || "Python cannot be loaded"));
  try {
    await ask({ python: root.dataset.python, here });
  } catch (error) {
    leave();
    throw error;
  }
}

function leave() {
  worker?.terminate();
  worker = waiting = null;
}

async function run() {
  start.disabled = true;
  stop.disabled = false;
  output.replaceChildren();
  output.hidden = true;
  drawings.replaceChildren();
  try {
    await python();
    say("running …");
    const began = performance.now();
    const { pictures } = await ask({ source: editor.value });
    say(`done in ${((performance.now() - began) / 1000).toFixed(1)} s`);
    drawings.append(...pictures.map(drawn));
  } catch (error) {
    if (error.message !== "stopped") tell(error.message + "\n");
    say(error.message === "stopped" ? "stopped" : "failed");
  } finally {
    start.disabled = false;
    stop.disabled = true;
  }
}

function end() {
  const { fail } = waiting ?? {};
  leave();
  fail?.(new Error("stopped"));
}

function drawn({ name, html }) {
  const frame = element("iframe", { title: `What happened in ${name}`, srcdoc: html });
  frame.sandbox = "allow-same-origin";  // it has no scripts; its height is to be known
  frame.onload = () => { frame.style.height = `${frame.contentDocument.documentElement.scrollHeight + 24}px`; };
  return element("figure", {}, element("figcaption", { textContent: name }), frame);
}

start.onclick = run;
stop.onclick = end;
editor.onkeydown = event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !start.disabled) run();
};

// ------------------------------------------------------------------------------------------------
// the programs of the page

function edit(program) {
  editor.value = program;
  editor.rows = Math.min(34, program.split("\n").length + 1);
}

const programs = [...document.querySelectorAll(".highlight-python pre")];
for (const program of programs) {
  const button = element("button", { type: "button", className: "try-this", textContent: "Try this one" });
  button.onclick = () => {
    edit(program.textContent.trimEnd());
    root.scrollIntoView({ behavior: "smooth" });
    editor.focus({ preventScroll: true });
  };
  program.closest(".highlight-python").after(button);
}
edit(programs[0].textContent.trimEnd());
say("nothing is loaded before you run something; Ctrl-Enter runs it, too");
