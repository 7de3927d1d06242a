// Debian packages with tools that tests of packages use which cannot ask for them themselves.
import { requireDebianPackages } from "../packages/backend-libvirt/src/lab/index.ts";

await requireDebianPackages(
  [
    { package: "qemu-utils", command: "qemu-img" },
    { package: "genisoimage", command: "isoinfo" },
    { package: "openssl", command: "openssl" },
    { package: "xz-utils", command: "xz" },
    { package: "zstd", command: "zstd" },
    { package: "bzip2", command: "bzip2" },
    { package: "libxml2-utils", command: "xmllint" },
    { package: "docker-registry", command: "docker-registry" },
  ],
  { onProgress: (message) => console.log(message) },
);
