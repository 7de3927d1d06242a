import {
  fencingSuite,
  formatReport,
  hypervisorSuite,
  imageStoreSuite,
  runConformance,
  storageSuite,
} from "@polyvisor/core/conformance";
import { openFencing, openHypervisor, openImageStore, openStorage, SHAPES } from "./fixtures.ts";

const reports = [];
for (const shape of SHAPES) {
  reports.push(
    formatReport(
      `Hypervisor: simulator, ${shape} placement`,
      await runConformance(hypervisorSuite, () => openHypervisor(shape)),
    ),
    formatReport(
      `Storage: simulator, ${shape} placement`,
      await runConformance(storageSuite, () => openStorage(shape)),
    ),
  );
}
reports.push(
  formatReport("ImageStore: simulator", await runConformance(imageStoreSuite, openImageStore)),
  formatReport("Fencing: simulator", await runConformance(fencingSuite, openFencing)),
);
process.stdout.write(`${reports.join("\n\n")}\n`);
if (reports.some((report) => /\d failed$/.test(report))) process.exitCode = 1;
