import { crc32, inflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { ppmToPng } from "../src/guest/ppm-to-png.ts";

const ppm = (header: string, points: number[]): Buffer =>
  Buffer.concat([Buffer.from(header), Buffer.from(points)]);

/** The chunks of a PNG by their types; fails when a checksum is wrong. */
function chunksOf(png: Buffer): Map<string, Buffer> {
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at);
    const named = png.subarray(at + 4, at + 8 + length);
    expect(png.readUInt32BE(at + 8 + length)).toBe(crc32(named));
    chunks.set(named.toString("latin1", 0, 4), named.subarray(4));
    at += length + 12;
  }
  return chunks;
}

describe("a picture of a screen", () => {
  it("has the same points as PNG", () => {
    const png = Buffer.from(
      ppmToPng(ppm("P6\n2 2\n255\n", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])),
    );
    const chunks = chunksOf(png);
    expect([...chunks.keys()]).toEqual(["IHDR", "IDAT", "IEND"]);
    expect(chunks.get("IHDR")?.readUInt32BE(0)).toBe(2);
    expect([...inflateSync(chunks.get("IDAT") ?? Buffer.alloc(0))]).toEqual([
      0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12,
    ]);
  });

  it("stays as it is when it is PNG", () => {
    const png = ppmToPng(ppm("P6 1 1 255 ", [1, 2, 3]));
    expect(ppmToPng(png)).toBe(png);
  });

  it.each([
    ["nothing", Buffer.alloc(0)],
    ["text", Buffer.from("no picture")],
    ["too few points", ppm("P6 2 2 255 ", [1, 2, 3])],
    ["more bits", ppm("P6 1 1 65535 ", [1, 2, 3, 4, 5, 6])],
  ])("is refused when it is %s", (_, bytes) => {
    expect(() => ppmToPng(bytes)).toThrow(/format that is not known/);
  });
});
