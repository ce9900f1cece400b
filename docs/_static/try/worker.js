// Python in a thread of its own, so that the page stays alive, and a search that is too long can be
// ended. It is told { python, here } first, the folders of Pyodide and of this file; then scripts.
"use strict";

let run;

async function start({ python, here }) {
  const { loadPyodide } = await import(python + "pyodide.mjs");
  const [pyodide, library, glue] = await Promise.all([
    loadPyodide({ indexURL: python }),
    fetched(here + "conveyor.zip").then(answer => answer.arrayBuffer()),
    fetched(here + "shown.py").then(answer => answer.text()),
  ]);
  pyodide.unpackArchive(library, "zip", { extractDir: "/library" });
  pyodide.FS.writeFile("/library/shown.py", glue);
  pyodide.runPython("import sys; sys.path.insert(0, '/library'); import shown");
  run = pyodide.runPython("shown.run");
  return pyodide.runPython("sys.version.split()[0]");
}

async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
  return answer;
}

function pictures(source) {
  const told = run(source, text => { postMessage({ text }); });
  const found = told.toJs();
  told.destroy();
  return found.map(([name, html]) => ({ name, html }));
}

onmessage = async ({ data }) => {
  try {
    if (data.python) postMessage({ version: await start(data) });
    else postMessage({ pictures: pictures(data.source) });
  } catch (error) {
    postMessage({ error: String(error.message ?? error) });
  }
};
