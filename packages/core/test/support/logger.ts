import type { Logger, LogMethod } from "@polyvisor/core";

/** A logger that keeps its lines. */
export function recordingLogger(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const level =
    (name: string): LogMethod =>
    (fields, message) =>
      void lines.push(`${name}: ${message} ${JSON.stringify(fields)}`);
  const [debug, info] = [level("debug"), level("info")];
  return { lines, debug, info, warn: level("warn"), error: level("error") };
}
