import { parseDocument } from "yaml";

/** The first lines that cloud-init knows. Source: cloud-init, "User data formats". */
const HEADERS = [
  "#cloud-config",
  "#!",
  "#include",
  "#cloud-boothook",
  "#part-handler",
  "## template: jinja",
  "Content-Type: multipart/",
  "MIME-Version:",
] as const;

/** What looks wrong with a user-data document; cloud-init may still make something of it. */
export function cloudInitWarnings(userData: string): string[] {
  const start = userData.trimStart();
  if (!HEADERS.some((header) => start.toLowerCase().startsWith(header.toLowerCase()))) {
    return [
      'the document does not begin with a line that cloud-init knows, such as "#cloud-config", and will be ignored',
    ];
  }
  if (!start.startsWith("#cloud-config")) return [];
  const document = parseDocument(start);
  const [error] = document.errors;
  if (error) {
    const [where] = error.linePos ?? [];
    return [
      `the document is not valid YAML${where ? ` in line ${where.line}` : ""}: cloud-init will ignore it`,
    ];
  }
  const content: unknown = document.toJS();
  const isMapping = typeof content === "object" && content !== null && !Array.isArray(content);
  return isMapping || content === null
    ? []
    : ["the document is not a mapping of cloud-init's modules: cloud-init will ignore it"];
}
