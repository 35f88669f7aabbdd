/** Lint rules for the joined cells of a notebook: what it defines belongs in lib. */

const message = "a notebook defines no functions or classes: move it to lib and import it";

function isFunction(node: Deno.lint.Node | null): boolean {
  return node?.type === "ArrowFunctionExpression" || node?.type === "FunctionExpression" ||
    node?.type === "ClassExpression";
}

export default {
  name: "notebook",
  rules: {
    "no-definitions": {
      create: (context) => ({
        FunctionDeclaration: (node) => context.report({ node, message }),
        ClassDeclaration: (node) => context.report({ node, message }),
        // A function passed on the spot, as to map, is no definition; one with a name is.
        VariableDeclarator: (node) => {
          if (isFunction(node.init)) context.report({ node, message });
        },
      }),
    },
  },
} satisfies Deno.lint.Plugin;
