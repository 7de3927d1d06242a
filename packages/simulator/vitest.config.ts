import { defineProject } from "vitest/config";

export default defineProject({
  ssr: {
    resolve: { conditions: ["@polyvisor/source", "module", "node", "development|production"] },
  },
  // Days of virtual time take a while on a machine that has other work as well.
  test: { name: "simulator", include: ["test/**/*.test.ts"], testTimeout: 60_000 },
});
