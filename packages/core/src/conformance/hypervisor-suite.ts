import type { ConformanceSuite } from "./conformance-case.ts";
import { AGENT_CASES } from "./hypervisor/agent-cases.ts";
import { BASIC_CASES } from "./hypervisor/basic-cases.ts";
import { CONSOLE_CASES } from "./hypervisor/console-cases.ts";
import { HOTPLUG_CASES } from "./hypervisor/hotplug-cases.ts";
import type { HypervisorFixture } from "./hypervisor/hypervisor-fixture.ts";
import { LIFE_CASES } from "./hypervisor/life-cases.ts";
import { MIGRATION_CASES } from "./hypervisor/migration-cases.ts";
import { PLACEMENT_CASES } from "./hypervisor/placement-cases.ts";

/** What every hypervisor must do. */
export const hypervisorSuite: ConformanceSuite<HypervisorFixture> = {
  port: "Hypervisor",
  cases: [
    ...BASIC_CASES,
    ...LIFE_CASES,
    ...PLACEMENT_CASES,
    ...CONSOLE_CASES,
    ...MIGRATION_CASES,
    ...HOTPLUG_CASES,
    ...AGENT_CASES,
  ],
  capabilities: ({ hypervisor }) => hypervisor.capabilities,
};
