import { defineProject } from "vitest/config";

export default defineProject({
  ssr: {
    resolve: { conditions: ["@polyvisor/source", "module", "node", "development|production"] },
  },
  test: { name: "simulator", include: ["test/**/*.test.ts"] },
});
