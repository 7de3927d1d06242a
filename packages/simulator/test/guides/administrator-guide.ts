import { type Guide, OTHER_RUN } from "./step.ts";

// Manifests and tables of the administrator guide of Deckhouse Virtualization Platform.
// Copyright (c) 2023 Flant JSC, Apache-2.0.

const UBUNTU =
  "https://cloud-images.ubuntu.com/minimal/releases/jammy/release/ubuntu-22.04-minimal-cloudimg-amd64.img";
const NODE = { column: "NODE", shows: /^virtlab-pt-\d$/, why: OTHER_RUN };
const ADDRESS = { column: "IPADDRESS", shows: /^10\.66\.10\.\d+$/, why: OTHER_RUN };

export const administratorGuide: Guide = {
  title: "the administrator guide",
  steps: [
    // Settings.
    {
      command: "apply -f -",
      input: `
apiVersion: deckhouse.io/v1alpha1
kind: ModuleConfig
metadata:
  name: virtualization
spec:
  enabled: true
  version: 1
  settings:
    dvcr:
      storage:
        persistentVolumeClaim:
          size: 50G
          storageClassName: sds-replicated-thin-r1
        type: PersistentVolumeClaim
    virtualMachineCIDRs:
      - 10.66.10.0/24
`,
    },
    {
      command: "edit mc virtualization",
      input: `
spec:
  settings:
    virtualMachineCIDRs:
      - 10.66.10.0/24
      - 10.66.20.0/24
      - 10.77.20.0/16
`,
    },
    {
      command: "edit mc virtualization",
      input: `
spec:
  settings:
    virtualImages:
      allowedStorageClassNames:
      - i-linstor-thin-r1
      - i-linstor-thin-r2
      defaultStorageClassName: i-linstor-thin-r1
`,
    },
    {
      command: "edit mc virtualization",
      input: `
spec:
  settings:
    virtualDisks:
      allowedStorageClassNames:
      - i-linstor-thin-r1
      - i-linstor-thin-r2
      defaultStorageClassName: i-linstor-thin-r1
`,
    },
    {
      command: "edit mc virtualization",
      input: `
spec:
  enabled: true
  settings:
    liveMigration:
      bandwidthPerNode: 64Mi
      maxMigrationsPerNode: 2
`,
    },

    // Images.
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: ClusterVirtualImage
metadata:
  name: ubuntu-22-04
spec:
  dataSource:
    type: HTTP
    http:
      url: "${UBUNTU}"
`,
    },
    {
      command: "get cvi ubuntu-22-04 -w",
      prints: `
NAME           PHASE          CDROM   PROGRESS   AGE
ubuntu-22-04   Provisioning   false              4s
ubuntu-22-04   Provisioning   false   0.0%       4s
ubuntu-22-04   Provisioning   false   28.2%      6s
ubuntu-22-04   Provisioning   false   66.5%      8s
ubuntu-22-04   Provisioning   false   100.0%     10s
ubuntu-22-04   Provisioning   false   100.0%     16s
ubuntu-22-04   Ready          false   100%       18s
`,
    },
    {
      command: "get clustervirtualimage ubuntu-22-04",
      prints: `
NAME           PHASE   CDROM   PROGRESS   AGE
ubuntu-22-04   Ready   false   100%       23h
`,
    },
    {
      command: "get cvi ubuntu-22-04",
      prints: `
NAME           PHASE   CDROM   PROGRESS   AGE
ubuntu-22-04   Ready   false   100%       23h
`,
    },
    { command: "describe cvi ubuntu-22-04" },
    { command: `curl -L ${UBUNTU} -o ubuntu2204.img`, outside: "a program of the user's" },
    { command: "docker build -t docker.io/<username>/ubuntu2204:latest", outside: "a registry's" },
    { command: "docker push docker.io/<username>/ubuntu2204:latest", outside: "a registry's" },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: ClusterVirtualImage
metadata:
  name: ubuntu-2204
spec:
  dataSource:
    type: ContainerImage
    containerImage:
      image: docker.io/username/ubuntu2204:latest
`,
    },
    {
      command: "get cvi ubuntu-2204",
      prints: `
NAME          PHASE   CDROM   PROGRESS   AGE
ubuntu-2204   Ready   false   100%       1m
`,
    },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: ClusterVirtualImage
metadata:
  name: some-image
spec:
  dataSource:
    type: Upload
`,
    },
    {
      command: "get cvi some-image",
      prints: `
NAME         PHASE               CDROM   PROGRESS   AGE
some-image   WaitForUserUpload                      1m
`,
    },
    {
      command: 'get cvi some-image -o jsonpath="{.status.imageUploadURLs}"',
      prints: `
{
  "external":"https://virtualization.example.com/upload/g2OuLgRhdAWqlJsCMyNvcdt4o5ERIwmm",
  "inCluster":"http://10.222.165.239/upload"
}
`,
    },
    {
      command: "curl -L http://download.cirros-cloud.net/0.5.1/cirros-0.5.1-x86_64-disk.img",
      outside: "a program of the user's",
    },
    {
      command:
        "curl https://virtualization.example.com/upload/g2OuLgRhdAWqlJsCMyNvcdt4o5ERIwmm --progress-bar -T cirros.img",
      input: "cvi some-image",
    },
    {
      command: "get cvi some-image",
      prints: `
NAME         PHASE   CDROM   PROGRESS   AGE
some-image   Ready   false   100%       1m
`,
    },

    // Classes.
    {
      command: "get virtualmachineclass",
      amongOthers: true,
      prints: `
NAME               PHASE   AGE
host               Ready   6d1h
host-passthrough   Ready   6d1h
generic            Ready   6d1h
`,
    },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachineClass
metadata:
  name: universal
spec:
  cpu:
    discovery: {}
    type: Discovery
`,
    },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachineClass
metadata:
  name: cpuX
spec:
  cpu:
    discovery: {}
    type: Discovery
`,
      refused: { message: /metadata\.name/, why: "names have no upper-case letters" },
    },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachineClass
metadata:
  name: cpu-x
spec:
  cpu:
    discovery: {}
    type: Discovery
  nodeSelector:
    matchExpressions:
      - key: group
        operator: In
        values: ["blue"]
---
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachineClass
metadata:
  name: cpu-y
spec:
  cpu:
    discovery:
      nodeSelector:
        matchExpressions:
          - key: group
            operator: In
            values: ["green"]
    type: Discovery
---
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachineClass
metadata:
  name: discovery
spec:
  cpu:
    discovery:
      nodeSelector:
        matchExpressions:
          - key: node-role.kubernetes.io/control-plane
            operator: DoesNotExist
    type: Discovery
  nodeSelector:
    matchExpressions:
      - key: node.deckhouse.io/group
        operator: In
        values:
          - worker
  sizingPolicies:
    - cores:
        min: 1
        max: 4
      memory:
        min: 1Gi
        max: 8Gi
        step: 512Mi
      dedicatedCores: [false]
      coreFractions: [5, 10, 20, 50, 100]
    - cores:
        min: 5
        max: 8
      memory:
        min: 5Gi
        max: 16Gi
        step: 1Gi
      dedicatedCores: [false]
      coreFractions: [20, 50, 100]
    - cores:
        min: 9
        max: 16
      memory:
        min: 9Gi
        max: 32Gi
        step: 1Gi
      dedicatedCores: [true, false]
      coreFractions: [50, 100]
    - cores:
        min: 17
        max: 1024
      memory:
        perCore:
          min: 1Gi
          max: 2Gi
      dedicatedCores: [true]
      coreFractions: [100]
---
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachineClass
metadata:
  name: with-vmx
spec:
  cpu:
    features:
      - vmx
    type: Features
---
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachineClass
metadata:
  name: ivy-bridge
spec:
  cpu:
    model: IvyBridge
    type: Model
`,
    },
    {
      command: "get vmclass",
      amongOthers: true,
      prints: `
NAME         PHASE   AGE
universal    Ready   6d1h
cpu-x        Ready   6d1h
cpu-y        Ready   6d1h
discovery    Ready   6d1h
with-vmx     Ready   6d1h
ivy-bridge   Ready   6d1h
`,
    },
    {
      command: "get nodes virtlab-pt-1 -o json | jq cpu-model",
      prints: "IvyBridge\nNehalem\nOpteron_G1\nPenryn\nSandyBridge\nWestmere",
    },

    // Migration and maintenance.
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualDisk
metadata:
  name: linux-disk
spec:
  dataSource:
    type: ObjectRef
    objectRef:
      kind: ClusterVirtualImage
      name: ubuntu-22-04
---
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachine
metadata:
  name: linux-vm
spec:
  virtualMachineClassName: generic
  cpu:
    cores: 1
    coreFraction: 100%
  memory:
    size: 1Gi
  blockDeviceRefs:
    - kind: VirtualDisk
      name: linux-disk
`,
    },
    {
      command: "get vm",
      prints: `
NAME                                   PHASE     NODE           IPADDRESS     AGE
linux-vm                               Running   virtlab-pt-1   10.66.10.14   79m
`,
      differs: [NODE, ADDRESS],
    },
    {
      command: "create -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachineOperation
metadata:
  generateName: evict-linux-vm-
spec:
  virtualMachineName: linux-vm
  type: Evict
`,
    },
    {
      command: "get vm -w",
      prints: `
NAME                                   PHASE       NODE           IPADDRESS     AGE
linux-vm                               Running     virtlab-pt-1   10.66.10.14   79m
linux-vm                               Migrating   virtlab-pt-1   10.66.10.14   79m
linux-vm                               Migrating   virtlab-pt-1   10.66.10.14   79m
linux-vm                               Running     virtlab-pt-2   10.66.10.14   79m
`,
      differs: [NODE, ADDRESS],
    },
    { command: "drain $(node) --ignore-daemonsets --delete-emptydir-data" },
    {
      command: "get vm",
      prints: `
NAME                                   PHASE     NODE           IPADDRESS     AGE
linux-vm                               Running   virtlab-pt-1   10.66.10.14   79m
`,
      differs: [NODE, ADDRESS],
    },
    { command: "uncordon $(drained)" },
  ],
};
