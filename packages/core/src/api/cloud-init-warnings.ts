/** First lines that cloud-init tells formats of user-data by. Source: cloud-init, "User-data formats". */
const FORMATS: readonly RegExp[] = [
  /^#cloud-config(-archive|-jsonp)?\b/,
  /^#!/,
  /^#(include|include-once|cloud-boothook|part-handler|upstart-job)\b/,
  /^## template: ?jinja/,
  /^Content-Type: /i,
  /^MIME-Version: /i,
];

/** Keys of cloud-config that are often misspelt, and how they are spelt. */
const MISSPELT: Readonly<Record<string, string>> = {
  run_cmd: "runcmd",
  runcmds: "runcmd",
  boot_cmd: "bootcmd",
  package: "packages",
  user: "users",
  write_file: "write_files",
  ssh_authorized_key: "ssh_authorized_keys",
};

/** What looks wrong in a cloud-init document; it is handed to the guest all the same. */
export function cloudInitWarnings(userData: string): string[] {
  const text = userData.trimStart();
  const [firstLine = ""] = text.split("\n", 1);
  if (!FORMATS.some((format) => format.test(firstLine))) {
    return [
      'the first line does not tell the format, so cloud-init ignores the document: begin with "#cloud-config" or "#!/bin/sh"',
    ];
  }
  if (!firstLine.startsWith("#cloud-config")) return [];
  const warnings: string[] = [];
  for (const [, key = ""] of text.matchAll(/^([a-z_]+):/gm)) {
    const right = MISSPELT[key];
    if (right !== undefined) warnings.push(`cloud-init does not know ${key}: ${right} is meant`);
  }
  if (/^\t/m.test(text)) warnings.push("YAML is indented with spaces, and there is a tab");
  return warnings;
}
