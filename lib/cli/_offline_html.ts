/** nbconvert's pages, made to need no network: what they fetch is either unneeded or decoration. */

const scriptElement = /<script\b[^>]*>[\s\S]*?<\/script>/gi;
const mathDelimiters = /\$[^$\n]+\$|\$\$[\s\S]+?\$\$|\\\(|\\\[/;

/**
 * Removes the scripts that nbconvert's template loads from a CDN (require.js, Mermaid, MathJax).
 * MathJax stays where the text has TeX formulas: without a network they read as TeX.
 */
export function makeOffline(html: string): string {
  const hasMath = mathDelimiters.test(markdownText(html));
  return html.replaceAll(scriptElement, (script) => {
    if (/mathjax/i.test(script)) return hasMath ? script : "";
    return /\bsrc\s*=\s*["']https?:|mermaid/i.test(script) ? "" : script;
  });
}

/** The rendered markdown cells, in which alone formulas stand; `$` in code means nothing. */
function markdownText(html: string): string {
  const withoutCode = html.replaceAll(scriptElement, "").replaceAll(
    /<code\b[\s\S]*?<\/code>/gi,
    "",
  );
  const cells = withoutCode.match(/data-mime-type="text\/markdown"[\s\S]*?<\/div>/gi) ?? [];
  return cells.join("\n");
}

/** What the page would fetch from another machine when it is opened. */
export function remoteResources(html: string): readonly string[] {
  const elements = html.matchAll(
    /<(?:script|img|iframe|link|source|video|audio)\b[^>]*?\b(?:src|href)\s*=\s*["'](https?:[^"']+)/gi,
  );
  const styles = html.matchAll(/(?:@import\s+(?:url\()?|url\()\s*["']?(https?:[^"')\s]+)/gi);
  return [...elements, ...styles].map((match) => match[1] ?? "");
}
