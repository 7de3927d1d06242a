import type { ByteStream } from "@polyvisor/core";

/** Longest piece of output that is searched for the prompt, in characters. */
const REMEMBERED = 4096;

/**
 * Copies what a console prints to `output` until the login prompt has come.
 *
 * @throws an error when the console ends before that.
 */
export async function copyUntilLogin(
  console: ByteStream,
  output: NodeJS.WritableStream,
): Promise<void> {
  const decoder = new TextDecoder();
  let recent = "";
  for await (const bytes of console) {
    const text = decoder.decode(bytes, { stream: true });
    output.write(text);
    recent = `${recent}${text}`.slice(-REMEMBERED);
    if (/login: ?$/.test(recent)) return;
  }
  throw new Error("the console ended before a login prompt came");
}
