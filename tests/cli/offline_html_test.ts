import assert from "node:assert/strict";
import { makeOffline, remoteResources } from "../../lib/cli/_offline_html.ts";

const requireJs = '<script src="https://cdn.example/require.min.js"></script>';
const mermaid = '<script type="module">\n  import("https://cdn.example/mermaid.mjs");\n</script>';
const mathJax = '<script src="https://cdn.example/mathjax/latest.js"> </script>';
const own = "<script>document.title;</script>";

function page(markdown: string): string {
  return `<head>${requireJs}${mathJax}${own}</head><body>${mermaid}` +
    `<div data-mime-type="text/markdown"><p>${markdown}</p></div><pre>$ ls; $ cd</pre></body>`;
}

Deno.test("makeOffline() drops what is fetched and keeps the page's own scripts", () => {
  const html = makeOffline(page("It costs nothing."));
  assert.deepEqual(remoteResources(html), []);
  assert.ok(!html.includes("mermaid"));
  assert.ok(html.includes(own));
  assert.ok(html.includes("It costs nothing."));
});

Deno.test("makeOffline() keeps MathJax for TeX, not for shell prompts and code", () => {
  const formula = remoteResources(makeOffline(page("where $x_1 = y$ holds")));
  assert.deepEqual(formula, ["https://cdn.example/mathjax/latest.js"]);
  assert.deepEqual(remoteResources(makeOffline(page("<code>$a $b</code>"))), []);
});

Deno.test("remoteResources() sees pictures, styles and frames, not links to click", () => {
  const html = `<img alt="a" src='https://a.example/x.png'><a href="https://b.example">b</a>
    <link rel="stylesheet" href="http://c.example/c.css"><style>@import "https://d.example/d.css";
    p { background: url(https://e.example/e.png) }</style><img src="data:image/png;base64,AA">`;
  assert.deepEqual(remoteResources(html), [
    "https://a.example/x.png",
    "http://c.example/c.css",
    "https://d.example/d.css",
    "https://e.example/e.png",
  ]);
});
