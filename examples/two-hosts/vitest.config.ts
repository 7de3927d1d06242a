import { defineProject } from "vitest/config";

export default defineProject({ test: { name: "two-hosts", include: ["test/**/*.test.ts"] } });
