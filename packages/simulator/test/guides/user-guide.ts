import { type Guide, OTHER_RUN } from "./step.ts";

// Manifests and tables of the user guide of Deckhouse Virtualization Platform.
// Copyright (c) 2023 Flant JSC, Apache-2.0.

const UBUNTU =
  "https://cloud-images.ubuntu.com/minimal/releases/jammy/release/ubuntu-22.04-minimal-cloudimg-amd64.img";
const PASSWORD =
  "$6$rounds=4096$saltsalt$fPmUsbjAuA7mnQNTajQM6ClhesyG0.yyQhvahas02ejfMAq1ykBo1RquzS0R6GgdIDlvS.kbUwDablGZKZcTP/";

const NODE = { column: "NODE", shows: /^virtlab-pt-\d$/, why: OTHER_RUN };
const ADDRESS = { column: "IPADDRESS", shows: /^10\.66\.10\.\d+$/, why: OTHER_RUN };

export const userGuide: Guide = {
  title: "the user guide",
  steps: [
    // Quick start.
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualImage
metadata:
  name: ubuntu
spec:
  storage: ContainerRegistry
  dataSource:
    type: HTTP
    http:
      url: "${UBUNTU}"
`,
    },
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
      kind: VirtualImage
      name: ubuntu
`,
    },
    { command: "mkpasswd --method=SHA-512 --rounds=4096", outside: "a program of the user's" },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachine
metadata:
  name: linux-vm
spec:
  virtualMachineClassName: host
  cpu:
    cores: 1
  memory:
    size: 1Gi
  provisioning:
    type: UserData
    userData: |
      #cloud-config
      ssh_pwauth: True
      users:
      - name: cloud
        passwd: '${PASSWORD}'
        shell: /bin/bash
        sudo: ALL=(ALL) NOPASSWD:ALL
        lock_passwd: False
  blockDeviceRefs:
    - kind: VirtualDisk
      name: linux-disk
`,
    },
    {
      command: "get vi,vd,vm",
      prints: `
NAME                                                 PHASE   CDROM   PROGRESS   AGE
virtualimage.virtualization.deckhouse.io/ubuntu      Ready   false   100%

NAME                                                 PHASE   CAPACITY   AGE
virtualdisk.virtualization.deckhouse.io/linux-disk   Ready   300Mi      7h40m

NAME                                                 PHASE     NODE           IPADDRESS     AGE
virtualmachine.virtualization.deckhouse.io/linux-vm  Running   virtlab-pt-2   10.66.10.2    7h46m
`,
      differs: [
        {
          column: "CAPACITY",
          shows: "2590Mi",
          why: "the same image makes a disk of 2590Mi further down in the guide",
        },
        NODE,
      ],
    },
    { command: "console linux-vm", prints: "linux-vm login: " },
    { command: "delete vm linux-vm" },
    { command: "delete vd linux-disk" },
    { command: "delete vi ubuntu" },

    // Images.
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualImage
metadata:
  name: ubuntu-22.04
spec:
  storage: ContainerRegistry
  dataSource:
    type: HTTP
    http:
      url: "${UBUNTU}"
`,
    },
    {
      command: "get vi ubuntu-22.04 -w",
      prints: `
NAME           PHASE          CDROM   PROGRESS   AGE
ubuntu-22.04   Provisioning   false              4s
ubuntu-22.04   Provisioning   false   0.0%       4s
ubuntu-22.04   Provisioning   false   28.2%      6s
ubuntu-22.04   Provisioning   false   66.5%      8s
ubuntu-22.04   Provisioning   false   100.0%     10s
ubuntu-22.04   Provisioning   false   100.0%     16s
ubuntu-22.04   Ready          false   100%       18s
`,
    },
    {
      command: "get virtualimage ubuntu-22.04",
      prints: `
NAME           PHASE   CDROM   PROGRESS   AGE
ubuntu-22.04   Ready   false   100%       23h
`,
    },
    {
      command: "get vi ubuntu-22.04",
      prints: `
NAME           PHASE   CDROM   PROGRESS   AGE
ubuntu-22.04   Ready   false   100%       23h
`,
    },
    { command: "describe vi ubuntu-22.04" },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualImage
metadata:
  name: ubuntu-22.04-pvc
spec:
  storage: Kubernetes
  dataSource:
    type: HTTP
    http:
      url: "${UBUNTU}"
`,
    },
    {
      command: "get vi ubuntu-22.04-pvc",
      prints: `
NAME              PHASE   CDROM   PROGRESS   AGE
ubuntu-22.04-pvc  Ready   false   100%       23h
`,
    },
    { command: `curl -L ${UBUNTU} -o ubuntu2204.img`, outside: "a program of the user's" },
    { command: "docker build -t docker.io/<username>/ubuntu2204:latest", outside: "a registry's" },
    { command: "docker push docker.io/<username>/ubuntu2204:latest", outside: "a registry's" },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualImage
metadata:
  name: ubuntu-2204
spec:
  storage: ContainerRegistry
  dataSource:
    type: ContainerImage
    containerImage:
      image: docker.io/username/ubuntu2204:latest
`,
    },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualImage
metadata:
  name: some-image
spec:
  storage: ContainerRegistry
  dataSource:
    type: Upload
`,
    },
    {
      command: 'get vi some-image -o jsonpath="{.status.imageUploadURLs}"',
      prints: `
{
  "external":"https://virtualization.example.com/upload/g2OuLgRhdAWqlJsCMyNvcdt4o5ERIwmm",
  "inCluster":"http://10.222.165.239/upload"
}
`,
    },
    {
      command:
        "curl https://virtualization.example.com/upload/g2OuLgRhdAWqlJsCMyNvcdt4o5ERIwmm --progress-bar -T cirros.img",
      input: "vi some-image",
    },
    {
      command: "get vi some-image",
      prints: `
NAME         PHASE   CDROM   PROGRESS   AGE
some-image   Ready   false   100%       1m
`,
    },

    // Disks.
    {
      command: "get storageclass",
      prints: `
NAME                          PROVISIONER                           RECLAIMPOLICY   VOLUMEBINDINGMODE      ALLOWVOLUMEEXPANSION   AGE
i-linstor-thin-r1 (default)   replicated.csi.storage.deckhouse.io   Delete          Immediate              true                   48d
i-linstor-thin-r2             replicated.csi.storage.deckhouse.io   Delete          Immediate              true                   48d
i-linstor-thin-r3             replicated.csi.storage.deckhouse.io   Delete          Immediate              true                   48d
linstor-thin-r1               replicated.csi.storage.deckhouse.io   Delete          WaitForFirstConsumer   true                   48d
linstor-thin-r2               replicated.csi.storage.deckhouse.io   Delete          WaitForFirstConsumer   true                   48d
linstor-thin-r3               replicated.csi.storage.deckhouse.io   Delete          WaitForFirstConsumer   true                   48d
nfs-4-1-wffc                  nfs.csi.k8s.io                        Delete          WaitForFirstConsumer   true                   30d
`,
    },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualDisk
metadata:
  name: vd-blank
spec:
  persistentVolumeClaim:
    storageClassName: i-linstor-thin-r2
    size: 100Mi
`,
    },
    {
      command: "get vd vd-blank",
      prints: `
NAME       PHASE   CAPACITY   AGE
vd-blank   Ready   100Mi      1m2s
`,
    },
    {
      command: "get vi ubuntu-22.04 -o wide",
      prints: `
NAME           PHASE   CDROM   PROGRESS   STOREDSIZE   UNPACKEDSIZE   REGISTRY URL                                                                       AGE
ubuntu-22.04   Ready   false   100%       285.9Mi      2.5Gi          dvcr.d8-virtualization.svc/cvi/ubuntu-22.04:eac95605-7e0b-4a32-bb50-cc7284fd89d0   122m
`,
      differs: [
        {
          column: "REGISTRY URL",
          shows: /^vi\/default\/ubuntu-22\.04:[0-9a-f-]{36}$/,
          why: "the guide shows a ClusterVirtualImage where it speaks of a VirtualImage; there is no registry in front",
        },
      ],
    },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualDisk
metadata:
  name: ubuntu-root
spec:
  persistentVolumeClaim:
    size: 10Gi
    storageClassName: i-linstor-thin-r2
  dataSource:
    type: ObjectRef
    objectRef:
      kind: VirtualImage
      name: ubuntu-22.04
`,
    },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualDisk
metadata:
  name: ubuntu-root-2
spec:
  persistentVolumeClaim:
    storageClassName: i-linstor-thin-r2
  dataSource:
    type: ObjectRef
    objectRef:
      kind: VirtualImage
      name: ubuntu-22.04
`,
    },
    {
      command: "get vd",
      amongOthers: true,
      prints: `
NAME           PHASE   CAPACITY   AGE
ubuntu-root    Ready   10Gi       7m52s
ubuntu-root-2  Ready   2590Mi     7m15s
`,
    },
    {
      // Shown further up, where the disk does not exist yet.
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualImage
metadata:
  name: ubuntu-root
spec:
  storage: ContainerRegistry
  dataSource:
    type: ObjectRef
    objectRef:
      kind: VirtualDisk
      name: ubuntu-root
`,
    },
    {
      command: "get vi ubuntu-root",
      prints: `
NAME          PHASE   CDROM   PROGRESS   AGE
ubuntu-root   Ready   false   100%       1m
`,
    },
    {
      command: "get vd ubuntu-root",
      prints: `
NAME          PHASE   CAPACITY   AGE
ubuntu-root   Ready   10Gi       10m
`,
    },
    {
      command: `patch vd ubuntu-root --type merge -p '{"spec":{"persistentVolumeClaim":{"size":"11Gi"}}}'`,
    },
    {
      command: "get vd ubuntu-root",
      prints: `
NAME          PHASE   CAPACITY   AGE
ubuntu-root   Ready   11Gi       12m
`,
    },

    // Virtual machines.
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachine
metadata:
  name: linux-vm
spec:
  virtualMachineClassName: host
  provisioning:
    type: UserData
    userData: |
      #cloud-config
      package_update: true
      packages:
        - nginx
        - qemu-guest-agent
      run_cmd:
        - systemctl daemon-relaod
        - systemctl enable --now nginx.service
        - systemctl enable --now qemu-guest-agent.service
      ssh_pwauth: True
      users:
      - name: cloud
        passwd: '${PASSWORD}'
        shell: /bin/bash
        sudo: ALL=(ALL) NOPASSWD:ALL
        lock_passwd: False
      final_message: "The system is finally up, after $UPTIME seconds"
  cpu:
    cores: 1
    coreFraction: 10%
  memory:
    size: 1Gi
  blockDeviceRefs:
    - kind: VirtualDisk
      name: ubuntu-root
`,
    },
    {
      command: "get vm linux-vm",
      prints: `
NAME        PHASE     NODE           IPADDRESS     AGE
linux-vm    Running   virtlab-pt-2   10.66.10.12   11m
`,
      differs: [NODE, ADDRESS],
    },
    { command: "console linux-vm", prints: "linux-vm login: " },
    { command: "vnc linux-vm", prints: "RFB 003.008" },
    { command: "ssh cloud@linux-vm --local-ssh", outside: "a program of the user's" },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachineOperation
metadata:
  name: restart-linux-vm-$(date +%s)
spec:
  virtualMachineName: linux-vm
  type: Restart
`,
    },
    { command: "get virtualmachineoperation" },
    { command: "get vmop" },
    { command: "restart linux-vm" },
    { command: 'ssh cloud@linux-vm --local-ssh --command "nproc"', prints: "1" },
    { command: `patch vm linux-vm --type merge -p '{"spec":{"cpu":{"cores":2}}}'` },
    { command: 'ssh cloud@linux-vm --local-ssh --command "nproc"', prints: "1" },
    {
      command: 'get vm linux-vm -o jsonpath="{.status.restartAwaitingChanges}"',
      prints: `
[
  {
    "currentValue": 1,
    "desiredValue": 2,
    "operation": "replace",
    "path": "cpu.cores"
  }
]
`,
    },
    {
      command: "get vm linux-vm -o wide",
      prints: `
NAME        PHASE     CORES   COREFRACTION   MEMORY   NEED RESTART   AGENT   MIGRATABLE   NODE           IPADDRESS     AGE
linux-vm    Running   2       100%           1Gi      True           True    True         virtlab-pt-1   10.66.10.13   5m16s
`,
      differs: [
        {
          column: "CORES",
          shows: "1",
          why: "the table shows what the guest has, not what it will have after the restart",
        },
        {
          column: "COREFRACTION",
          shows: "10%",
          why: "the VM was created with 10% further up in the guide",
        },
        NODE,
        ADDRESS,
      ],
    },
    { command: "restart linux-vm" },
    {
      command: 'get vm linux-vm -o jsonpath="{.status.restartAwaitingChanges}"',
      prints: "",
    },
    { command: 'ssh cloud@linux-vm --local-ssh --command "nproc"', prints: "2" },
    {
      command: "edit vm linux-vm",
      input: "spec: { disruptions: { restartApprovalMode: Automatic } }",
    },
    {
      command: "apply -f -",
      input: `
apiVersion: v1
kind: Secret
metadata:
  name: cloud-init-example
data:
  userData: I2Nsb3VkLWNvbmZpZwo=
type: provisioning.virtualization.deckhouse.io/cloud-init
`,
    },
    {
      command: "edit vm linux-vm",
      input: `
spec:
  provisioning:
    type: UserDataRef
    userData: null
    userDataRef:
      kind: Secret
      name: cloud-init-example
`,
    },
    {
      command: "apply -f -",
      input: `
apiVersion: v1
kind: Secret
metadata:
  name: sysprep-example
data:
  unattend.xml: PHVuYXR0ZW5kLz4=
type: provisioning.virtualization.deckhouse.io/sysprep
`,
    },
    {
      command: "edit vm linux-vm",
      input: `
spec:
  provisioning:
    type: SysprepRef
    userDataRef: null
    sysprepRef:
      kind: Secret
      name: sysprep-example
`,
    },

    // Placement.
    { command: "edit vm linux-vm", input: "spec: { nodeSelector: { disktype: ssd } }" },
    {
      command: "edit vm linux-vm",
      input: `
spec:
  nodeSelector: null
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms:
          - matchExpressions:
              - key: disktype
                operator: In
                values:
                  - ssd
`,
    },
    {
      command: "edit vm linux-vm",
      input: `
spec:
  affinity:
    nodeAffinity: null
    virtualMachineAndPodAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 1
          podAffinityTerm:
            labelSelector:
              matchLabels:
                server: database
            topologyKey: "kubernetes.io/hostname"
`,
    },
    {
      command: "edit vm linux-vm",
      input: `
spec:
  affinity:
    virtualMachineAndPodAffinity: null
    virtualMachineAndPodAntiAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        - labelSelector:
            matchLabels:
              server: database
          topologyKey: "kubernetes.io/hostname"
`,
    },
    {
      command: "get vm linux-vm",
      prints: `
NAME        PHASE     NODE           IPADDRESS     AGE
linux-vm    Running   virtlab-pt-1   10.66.10.13   11m
`,
      differs: [NODE, ADDRESS],
    },

    // Block devices that are plugged in.
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachineBlockDeviceAttachment
metadata:
  name: attach-vd-blank
spec:
  blockDeviceRef:
    kind: VirtualDisk
    name: vd-blank
  virtualMachineName: linux-vm
`,
    },
    {
      command: "get vmbda attach-vd-blank",
      prints: `
NAME              PHASE      VIRTUAL MACHINE NAME   AGE
attach-vd-blank   Attached   linux-vm               3m7s
`,
      differs: [
        {
          column: "VIRTUAL MACHINE NAME",
          called: "VIRTUALMACHINE",
          shows: "linux-vm",
          why: "newer versions call it so",
        },
      ],
    },
    {
      command: 'ssh cloud@linux-vm --local-ssh --command "lsblk"',
      prints: "vd-ubuntu-root vd-vd-blank",
    },
    { command: "delete vmbda attach-vd-blank" },
    {
      command: 'ssh cloud@linux-vm --local-ssh --command "lsblk"',
      prints: "vd-ubuntu-root",
    },

    // Services.
    { command: "label vm linux-vm app=nginx" },
    {
      command: "apply -f -",
      input: `
apiVersion: v1
kind: Service
metadata:
  name: linux-vm-nginx-nodeport
spec:
  type: NodePort
  selector:
    app: nginx
  ports:
    - protocol: TCP
      port: 80
      targetPort: 80
      nodePort: 31880
`,
      refused: {
        message: /kind: "Service" is not taken/,
        why: "services are the network's around the VMs: a portal publishes by the address",
      },
    },
    {
      command: "apply -f -",
      input: `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: linux-vm
spec: {}
`,
      refused: {
        message: /kind: "Ingress" is not taken/,
        why: "services are the network's around the VMs: a portal publishes by the address",
      },
    },

    // Live migration.
    {
      command: "get vm",
      prints: `
NAME                                   PHASE     NODE           IPADDRESS     AGE
linux-vm                               Running   virtlab-pt-1   10.66.10.14   79m
`,
      differs: [NODE, ADDRESS],
    },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachineOperation
metadata:
  name: migrate-linux-vm-$(date +%s)
spec:
  virtualMachineName: linux-vm
  type: Migrate
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
    { command: "migrate linux-vm" },

    // Addresses.
    {
      command: "get vmipl",
      amongOthers: true,
      prints: `
NAME             VIRTUALMACHINEIPADDRESS                             STATUS   AGE
ip-10-66-10-14   {"name":"linux-vm-7prpx","namespace":"default"}     Bound    12h
`,
      differs: [
        { column: "NAME", shows: /^ip-10-66-10-\d+$/, why: OTHER_RUN },
        {
          column: "VIRTUALMACHINEIPADDRESS",
          shows: /^\{"name":"linux-vm-[a-z0-9]{5}","namespace":"default"\}$/,
          why: "the last five letters are chance",
        },
      ],
    },
    {
      // The guide writes `get vmipl` here once more.
      command: "get vmip",
      amongOthers: true,
      prints: `
NAME             ADDRESS       STATUS     VM         AGE
linux-vm-7prpx   10.66.10.14   Attached   linux-vm   12h
`,
      differs: [
        { column: "NAME", shows: /^linux-vm-[a-z0-9]{5}$/, why: "five letters are chance" },
        { column: "ADDRESS", shows: /^10\.66\.10\.\d+$/, why: OTHER_RUN },
      ],
    },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachineIPAddress
metadata:
  name: linux-vm-custom-ip
spec:
  staticIP: 10.66.20.77
  type: Static
`,
    },
    {
      command: "edit vm linux-vm",
      input: "spec: { virtualMachineIPAdressName: linux-vm-custom-ip }",
    },
    {
      command: "get vm linux-vm",
      prints: `
NAME        PHASE     NODE           IPADDRESS     AGE
linux-vm    Running   virtlab-pt-1   10.66.20.77   11m
`,
      differs: [NODE],
    },
    {
      command: 'get vm linux-vm -o jsonpath="{.status.virtualMachineIPAddressName}"',
      prints: "linux-vm-custom-ip",
    },
    {
      command: `patch vmip linux-vm-custom-ip --type=merge --patch '{"metadata":{"ownerReferences":null}}'`,
    },

    // Snapshots.
    { command: "edit vm linux-vm", input: "spec: { provisioning: null }" },
    {
      command: "get volumesnapshotclasses",
      prints: `
NAME                     DRIVER                                DELETIONPOLICY   AGE
csi-nfs-snapshot-class   nfs.csi.k8s.io                        Delete           34d
sds-replicated-volume    replicated.csi.storage.deckhouse.io   Delete           39d
`,
    },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualDiskSnapshot
metadata:
  name: ubuntu-root-$(date +%s)
spec:
  requiredConsistency: true
  virtualDiskName: ubuntu-root
  volumeSnapshotClassName: sds-replicated-volume
`,
    },
    {
      command: "get vdsnapshot",
      prints: `
NAME                     PHASE     CONSISTENT   AGE
ubuntu-root-1728027905   Ready                  3m2s
`,
      differs: [
        { column: "NAME", shows: /^ubuntu-root-\d+$/, why: "the second at which it was made" },
        {
          column: "CONSISTENT",
          shows: "true",
          why: "the guide asks for consistency and leaves out what it came to",
        },
      ],
    },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualDisk
metadata:
  name: ubuntu-root-restored
spec:
  persistentVolumeClaim:
    size: 11Gi
    storageClassName: i-linstor-thin-r2
  dataSource:
    type: ObjectRef
    objectRef:
      kind: VirtualDiskSnapshot
      name: $(vdsnapshot)
`,
    },
    {
      command: "get vd ubuntu-root-restored",
      prints: `
NAME                   PHASE   CAPACITY   AGE
ubuntu-root-restored   Ready   11Gi       10m
`,
    },

    // What is deleted leaves its address to the namespace.
    { command: "delete vm linux-vm" },
    {
      command: "get vmip",
      amongOthers: true,
      prints: `
NAME                 ADDRESS       STATUS   VM   AGE
linux-vm-custom-ip   10.66.20.77   Bound         12h
`,
    },
    { command: "delete vmip linux-vm-custom-ip" },
    {
      command: "get vmipl",
      amongOthers: true,
      prints: `
NAME             VIRTUALMACHINEIPADDRESS     STATUS     AGE
ip-10-66-20-77   {"namespace":"default"}     Released   12h
`,
    },
    {
      command: "apply -f -",
      input: `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachineIPAddress
metadata:
  name: linux-vm-custom-ip
spec:
  staticIP: 10.66.20.77
  type: Static
`,
    },
    {
      command: "get vmip",
      amongOthers: true,
      prints: `
NAME                 ADDRESS       STATUS   VM   AGE
linux-vm-custom-ip   10.66.20.77   Bound         12h
`,
    },
  ],
};
