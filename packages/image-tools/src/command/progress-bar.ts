import type { WriteStream } from "node:tty";
import type { ConversionProgress } from "../convert/conversion-progress.ts";
import { progressText } from "./progress-text.ts";

/** Shows how far a conversion has come. Disposing it clears the line. */
export interface ProgressBar extends Disposable {
  readonly report: (progress: ConversionProgress) => void;
}

interface Payload {
  readonly text: string;
  readonly hasBar: boolean;
}

const BAR_WIDTH = 30;

/** A bar on `terminal`. */
export async function openProgressBar(terminal: WriteStream): Promise<ProgressBar> {
  const { default: cliProgress } = await import("cli-progress");
  const { SingleBar, Format, Presets } = cliProgress;
  const bar = new SingleBar(
    {
      stream: terminal,
      barsize: BAR_WIDTH,
      clearOnComplete: true,
      hideCursor: true,
      format: (options, { progress }, { text, hasBar }: Payload) =>
        hasBar ? `${Format.BarFormat(progress, options)} ${text}` : text,
    },
    Presets.shades_grey,
  );
  bar.start(1, 0, { text: "opening the image", hasBar: false } satisfies Payload);
  return {
    report: (progress) => {
      const { phase, fraction } = progress;
      const hasBar = phase === "converting" && fraction !== undefined;
      bar.update(fraction ?? 0, { text: progressText(progress), hasBar } satisfies Payload);
    },
    [Symbol.dispose]: () => bar.stop(),
  };
}
