import { setWord, testDamage, type DamageCase, type Layout } from "../support/made-layouts.ts";

const vdi: Layout = { format: "vdi", driver: "vdi" };

const CASES: readonly DamageCase[] = [
  ["VDI of an unknown version", vdi, "IMAGE_UNSUPPORTED", setWord(0x44, 0x00020002)],
  ["VDI of type undo", vdi, "IMAGE_UNSAFE", setWord(0x4c, 3)],
  ["VDI of type 9", vdi, "IMAGE_CORRUPT", setWord(0x4c, 9)],
  ["VDI with a parent", vdi, "IMAGE_UNSAFE", setWord(0x1b8, 1)],
  ["VDI with sectors of 4096 bytes", vdi, "IMAGE_CORRUPT", setWord(0x168, 4096)],
  ["VDI of 2^62 bytes", vdi, "IMAGE_TOO_LARGE", setWord(0x174, 0x40000000)],
  ["VDI with blocks of 3 bytes", vdi, "IMAGE_CORRUPT", setWord(0x178, 3)],
  ["VDI with extra data", vdi, "IMAGE_UNSUPPORTED", setWord(0x17c, 512)],
  ["VDI with 2^32 blocks", vdi, "IMAGE_TOO_LARGE", setWord(0x180, 0xffffffff)],
  ["VDI with too few blocks", vdi, "IMAGE_CORRUPT", setWord(0x180, 1)],
  ["VDI with its map over the header", vdi, "IMAGE_CORRUPT", setWord(0x154, 0)],
  ["VDI with its data over the map", vdi, "IMAGE_CORRUPT", setWord(0x158, 512)],
  ["VDI block beyond the end", vdi, "IMAGE_TRUNCATED", setWord(512, 1000)],
  ["VDI block used twice", vdi, "IMAGE_UNSAFE", setWord(512 + 8 * 4, 0)],
];

testDamage([vdi], CASES);
