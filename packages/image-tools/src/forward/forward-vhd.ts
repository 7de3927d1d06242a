import type { DiskOpenerOptions } from "../disk/disk-opener.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { openVhd } from "../vhd/open-vhd.ts";
import { VHD_FOOTER_BYTES, vhdErrors } from "../vhd/vhd-footer.ts";
import { openTabled, type ForwardDisk } from "./forward-disk.ts";
import type { WindowReader } from "./window-reader.ts";

/**
 * Opens a dynamic VHD that comes as a stream, by the copy of its footer at the beginning; the footer
 * has to be the same in the end.
 */
export async function openForwardVhd(
  window: WindowReader,
  options: DiskOpenerOptions,
): Promise<ForwardDisk> {
  const copy = await window.read(0, VHD_FOOTER_BYTES);
  const reader: RandomAccessReader = {
    sizeBytes: Number.POSITIVE_INFINITY,
    read: async (offset, length) =>
      offset === Number.POSITIVE_INFINITY ? copy : window.read(offset, length),
    [Symbol.asyncDispose]: async () => {},
  };
  const disk = await openTabled(openVhd, reader, options);
  return {
    ...disk,
    finish: async (tail) => {
      if (tail.subarray(-VHD_FOOTER_BYTES).equals(copy)) return;
      throw vhdErrors.truncated(
        "the footer at its end is missing, or is not that at its beginning",
      );
    },
  };
}
