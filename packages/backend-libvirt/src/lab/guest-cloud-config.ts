/**
 * An awk program that reads user-data or meta-data (cloud-init, "User data formats", "NoCloud") and
 * prints every scalar as `PATH<tab>VALUE`, the path's parts joined with `/`, positions counted from 0.
 *
 * It knows JSON, and of YAML block mappings and sequences, plain and quoted scalars, literal and folded
 * blocks and flow collections; no anchors, tags or multi-line plain scalars. In a value, backslash,
 * newline and tab are written as `\\`, `\n` and `\t`.
 */
export const GUEST_CLOUD_CONFIG_AWK: string = String.raw`
function emit(path, value) {
  gsub(/\\/, "\\\\", value); gsub(/\n/, "\\n", value); gsub(/\t/, "\\t", value)
  print path "\t" value
}
function join_path(path, key) { return path == "" ? key : path "/" key }
function trim(text) { sub(/^[ \t]+/, "", text); sub(/[ \t]+$/, "", text); return text }
function indent_of(line) { match(line, /^ */); return RLENGTH }
function is_blank(line) { return line ~ /^[ \t]*(#.*)?$/ }
function skip_blank() { while (at <= count && is_blank(lines[at])) at++ }
function hex(digits,   i, value) {
  value = 0
  for (i = 1; i <= length(digits); i++) value = value * 16 + index("0123456789abcdef", tolower(substr(digits, i, 1))) - 1
  return value
}
function utf8(code) {
  if (code < 128) return sprintf("%c", code)
  if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
  if (code < 65536) return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
  return sprintf("%c%c%c%c", 240 + int(code / 262144), 128 + int(code / 4096) % 64, 128 + int(code / 64) % 64, 128 + code % 64)
}
function next_char() { return substr(text, pos, 1) }
# Flow collections may go on over several lines.
function skip_space() {
  for (;;) {
    while (next_char() ~ /^[ \t]$/) pos++
    if (pos <= length(text) || at > count) return
    text = text " " lines[at++]
  }
}
function quoted(   mark, out, c, code, low) {
  mark = next_char(); pos++; out = ""
  while (pos <= length(text)) {
    c = next_char(); pos++
    if (c == mark) {
      if (mark == "'" && next_char() == "'") { out = out "'"; pos++; continue }
      return out
    }
    if (c != "\\" || mark == "'") { out = out c; continue }
    c = next_char(); pos++
    if (c == "n") out = out "\n"
    else if (c == "t") out = out "\t"
    else if (c == "r") out = out "\r"
    else if (c == "b") out = out "\b"
    else if (c == "f") out = out "\f"
    else if (c == "u") {
      code = hex(substr(text, pos, 4)); pos += 4
      if (code >= 55296 && code < 56320 && substr(text, pos, 2) == "\\u") {
        low = hex(substr(text, pos + 2, 4)); pos += 6
        code = 65536 + (code - 55296) * 1024 + low - 56320
      }
      out = out utf8(code)
    } else out = out c
  }
  return out
}
function flow_scalar(   out) {
  if (next_char() ~ /["']/) return quoted()
  out = ""
  while (pos <= length(text) && next_char() !~ /[],}]/ && substr(text, pos, 2) !~ /^:( |$)/) { out = out next_char(); pos++ }
  return trim(out)
}
function flow(path,   number, key) {
  skip_space()
  if (next_char() == "[") {
    pos++; number = 0
    for (skip_space(); pos <= length(text) && next_char() != "]"; skip_space()) {
      flow(join_path(path, number++)); skip_space()
      if (next_char() == ",") pos++; else break
    }
    if (next_char() == "]") pos++
  } else if (next_char() == "{") {
    pos++
    for (skip_space(); pos <= length(text) && next_char() != "}"; skip_space()) {
      key = flow_scalar(); skip_space()
      if (next_char() == ":") pos++
      flow(join_path(path, key)); skip_space()
      if (next_char() == ",") pos++; else break
    }
    if (next_char() == "}") pos++
  } else emit(path, flow_scalar())
}
function literal(path, style, parent,   out, base, line, blanks) {
  out = ""; base = -1; blanks = ""
  while (at <= count) {
    line = lines[at]
    if (line ~ /^ *$/) { blanks = blanks "\n"; at++; continue }
    if (indent_of(line) <= parent) break
    if (base < 0) base = indent_of(line)
    if (out != "") out = out (style ~ /^>/ && blanks == "" ? " " : (style ~ /^>/ ? "" : "\n"))
    out = out blanks substr(line, base + 1); blanks = ""; at++
  }
  emit(path, style ~ /-/ ? out : out "\n")
}
# The value that stands after "key:" or "-"; column is where its key or dash stands.
function value_of(path, rest, column,   child) {
  rest = trim(rest)
  if (rest ~ /^[|>][-+0-9]*( +#.*)?$/) { literal(path, rest, column); return }
  if (rest ~ /^[[{"']/) { text = rest; pos = 1; flow(path); return }
  sub(/^#.*/, "", rest); sub(/[ \t]+#.*/, "", rest)
  if (rest != "") { emit(path, rest); return }
  skip_block(path, column)
}
function skip_block(path, column,   child) {
  skip_blank()
  if (at > count) return
  child = indent_of(lines[at])
  if (child > column || (child == column && lines[at] ~ /^ *-( |$)/ && !in_dash[column])) block(child, path)
}
function block(column, path,   line, number, rest, key, was, is_sequence) {
  number = 0; is_sequence = substr(lines[at], column + 1) ~ /^-( |$)/
  for (skip_blank(); at <= count && indent_of(lines[at]) == column; skip_blank()) {
    line = substr(lines[at], column + 1)
    # The items of a key may stand in the column of the key, so either kind ends the other.
    if ((line ~ /^-( |$)/) != is_sequence) return
    if (is_sequence) {
      rest = substr(line, 2)
      key = join_path(path, number++)
      match(rest, /^ */)
      if (substr(rest, RLENGTH + 1) ~ mapping_start || substr(rest, RLENGTH + 1) ~ /^-( |$)/) {
        lines[at] = sprintf("%" (column + 1 + RLENGTH) "s", "") substr(rest, RLENGTH + 1)
        block(column + 1 + RLENGTH, key)
      } else {
        at++; was = in_dash[column]; in_dash[column] = 1
        value_of(key, rest, column); in_dash[column] = was
      }
    } else if (line ~ mapping_start) {
      text = line; pos = 1
      if (line ~ /^["']/) { key = quoted(); rest = substr(text, pos) }
      else { match(line, /:( |$)/); key = trim(substr(line, 1, RSTART - 1)); rest = substr(line, RSTART) }
      sub(/^ *:/, "", rest); at++
      was = in_dash[column]; in_dash[column] = 0
      value_of(join_path(path, key), rest, column); in_dash[column] = was
    } else at++
  }
}
{ sub(/\r$/, ""); if ($0 != "---" && $0 !~ /^\t*$/) lines[++count] = $0; else lines[++count] = "" }
END {
  mapping_start = "^(\"([^\"\\\\]|\\\\.)*\"|'[^']*'|[^][{}#&*!|>'\"%@,: -][^:]*|-[^ :][^:]*) *:( |$)"
  at = 1
  skip_blank()
  if (at > count) exit
  if (lines[at] ~ /^ *[[{]/) { text = lines[at++]; pos = 1; flow("") }
  else block(indent_of(lines[at]), "")
}
`;
