// Runs a Python script in Pyodide, CPython compiled to WebAssembly: node run.mjs SCRIPT FOLDER...
// The folders are where it imports from, as PYTHONPATH says elsewhere; all are read in place.
import { realpathSync } from "node:fs";
import { loadPyodide } from "pyodide";

const [script, ...folders] = process.argv.slice(2).map((path) => realpathSync(path));
const pyodide = await loadPyodide();
const mount = (root, at) => {
  pyodide.FS.mkdirTree(at);
  pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root }, at);
  return at;
};
const path = folders.map((folder, number) => mount(folder, `/mounted/${number}`));
pyodide.globals.set("script", script);
pyodide.globals.set("source", (await import("node:fs")).readFileSync(script, "utf8"));
pyodide.globals.set("path", pyodide.toPy(path));
try {
  pyodide.runPython(`
import sys
sys.path[:0] = path
sys.argv = [script]
sys.dont_write_bytecode = True
exec(compile(source, script, "exec"), {"__name__": "__main__", "__file__": script})
`);
} catch (error) {
  console.error(error.message ?? error);
  process.exitCode = 1;
}
