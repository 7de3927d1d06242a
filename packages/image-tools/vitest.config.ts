import { defineProject } from "vitest/config";

export default defineProject({
  ssr: {
    resolve: { conditions: ["@polyvisor/source", "module", "node", "development|production"] },
  },
  // Most tests take milliseconds, but a machine may be busy.
  test: { name: "image-tools", include: ["test/**/*.test.ts"], testTimeout: 60_000 },
});
