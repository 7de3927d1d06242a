import { createHash } from "node:crypto";
import { pack } from "tar-stream";
import { collectBytes } from "./collect.ts";

/** A file of an archive. */
export type ArchiveFile = readonly [name: string, content: Uint8Array];

/** A tar archive. */
export async function makeTar(...files: readonly ArchiveFile[]): Promise<Buffer> {
  const packer = pack();
  for (const [name, content] of files) packer.entry({ name }, Buffer.from(content));
  packer.finalize();
  return collectBytes(packer as AsyncIterable<Uint8Array>);
}

/** The files of an OVA with these disks, `disk0.img` and so on, by their roles. */
export function ovaFiles(...disks: readonly Uint8Array[]): {
  readonly descriptor: ArchiveFile;
  readonly manifest: ArchiveFile;
  readonly disks: readonly ArchiveFile[];
} {
  const files = disks.map((_, index) => `<File ovf:id="f${index}" ovf:href="disk${index}.img"/>`);
  const entries = disks.map(
    (_, index) => `<Disk ovf:diskId="d${index}" ovf:fileRef="f${index}" ovf:capacity="1048576"/>`,
  );
  const descriptor: ArchiveFile = [
    "x.ovf",
    Buffer.from(
      `<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
      <References>${files.join("")}</References><DiskSection>${entries.join("")}</DiskSection>
      <VirtualSystem ovf:id="v"/></Envelope>`,
    ),
  ];
  const members = disks.map((bytes, index): ArchiveFile => [`disk${index}.img`, bytes]);
  const lines = [descriptor, ...members].map(([name, bytes]) => {
    const digest = createHash("sha256").update(bytes).digest("hex");
    return `SHA256(${name})= ${digest}\n`;
  });
  return { descriptor, manifest: ["x.mf", Buffer.from(lines.join(""))], disks: members };
}

/** An OVA with these disks, its manifest behind them. */
export async function makeOva(...disks: readonly Uint8Array[]): Promise<Buffer> {
  const { descriptor, manifest, disks: members } = ovaFiles(...disks);
  return makeTar(descriptor, ...members, manifest);
}
