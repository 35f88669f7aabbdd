/** Which code ran. */

/** The commit of the working copy, `-dirty` if files differ from it, `unknown` without git. */
export async function gitCommit(): Promise<string> {
  const commit = await git("rev-parse", "--short=12", "HEAD");
  if (commit === null) return "unknown";
  const changes = await git("status", "--porcelain", "--untracked-files=no");
  return changes ? `${commit}-dirty` : commit;
}

async function git(...args: string[]): Promise<string | null> {
  try {
    const cwd = new URL(".", import.meta.url);
    const command = new Deno.Command("git", { args, cwd, stdout: "piped", stderr: "null" });
    const { success, stdout } = await command.output();
    return success ? new TextDecoder().decode(stdout).trim() : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
