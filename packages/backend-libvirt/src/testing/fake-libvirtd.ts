import { once } from "node:events";
import { createServer, type Socket } from "node:net";

import type { EventDefinition } from "../rpc/event-definitions.ts";
import { messageStatus, type Frame } from "../rpc/frame.ts";
import { isLibvirtError, LibvirtError, wireErrorCodec } from "../rpc/libvirt-error.ts";
import {
  procedures,
  type Procedure,
  type ProcedureArguments,
  type ProcedureName,
  type ProcedureResult,
  type Procedures,
} from "../rpc/procedures.ts";
import { XdrReader } from "../rpc/xdr-reader.ts";
import { FakeClient } from "./fake-libvirtd-client.ts";
import { FakeStream } from "./fake-libvirtd-stream.ts";

/** What a handler may use beyond the arguments of the call. */
export interface FakeCallContext {
  readonly client: FakeClient;
  readonly frame: Frame;
  /** Returned by a handler that has sent its reply, or a fault in its place, itself. */
  readonly handled: typeof handled;
}

const handled: unique symbol = Symbol("handled");

/**
 * Handlers by procedure. A handler returns the result, throws {@link fakeError} for an error
 * reply, returns a promise that stays pending for a stuck call, or returns `context.handled`.
 */
export type FakeHandlers = {
  [Name in ProcedureName]?: (
    args: ProcedureArguments<Procedures[Name]>,
    context: FakeCallContext,
  ) =>
    | ProcedureResult<Procedures[Name]>
    | typeof handled
    | Promise<ProcedureResult<Procedures[Name]> | typeof handled>;
};

/** Options of {@link startFakeLibvirtd}. */
export interface FakeLibvirtdOptions {
  readonly socketPath: string;
  readonly handlers?: FakeHandlers;
  /** Drives the streams that upload, download and console calls open. */
  readonly onStream?: (stream: FakeStream) => Promise<void>;
}

/** A daemon in this process, which speaks the wire protocol and can misbehave. */
export interface FakeLibvirtd extends AsyncDisposable {
  readonly socketPath: string;
  /** Handlers; may be changed at any time. */
  readonly handlers: FakeHandlers;
  /** Every connection so far, the oldest first. */
  readonly clients: readonly FakeClient[];
  /** Names of the procedures that were called, the oldest first. */
  readonly calls: readonly string[];
  /** Sends an event to every open connection. */
  emit<Payload>(
    event: EventDefinition<Payload, unknown>,
    callbackId: number,
    payload: Payload,
  ): void;
}

const streamProcedures: readonly Procedure<unknown, unknown>[] = [
  procedures.storageVolUpload,
  procedures.storageVolDownload,
  procedures.domainOpenConsole,
  procedures.domainOpenChannel,
  procedures.domainScreenshot,
];

const address = (program: number, number: number): string => `${program}/${number}`;
const byAddress = new Map<string, Procedure<unknown, unknown>>(
  Object.values<Procedure<unknown, unknown>>(procedures).map((each) => [
    address(each.program, each.number),
    each,
  ]),
);

const handshakeHandlers: FakeHandlers = {
  authList: () => ({ types: [0] }),
  connectSupportsFeature: () => ({ supported: true }),
  connectOpen: () => ({}),
  connectClose: () => ({}),
  connectGetHostname: () => ({ hostname: "fake" }),
};

/** An error for a handler to throw or a stream to fail with. */
export function fakeError(code: number, message: string): LibvirtError {
  return new LibvirtError({ code, domain: 10, message, level: 2, int1: -1, int2: -1 });
}

/**
 * Starts a fake libvirt daemon on a unix socket. Without handlers it answers the handshake and
 * `connectGetHostname`; other procedures get libvirt's "unknown procedure" error.
 *
 * @remarks It does not model: authentication, keepalive of its own accord, domains or any other
 * state, the limit on executing calls (it records them instead), file descriptors.
 */
export async function startFakeLibvirtd(options: FakeLibvirtdOptions): Promise<FakeLibvirtd> {
  const handlers: FakeHandlers = { ...handshakeHandlers, ...options.handlers };
  const clients: FakeClient[] = [];
  const calls: string[] = [];
  const server = createServer((socket: Socket) => {
    const streams = new Map<number, FakeStream>();
    clients.push(
      new FakeClient(socket, {
        onCall(client, frame) {
          const procedure = byAddress.get(address(frame.program, frame.procedure));
          calls.push(procedure?.name ?? `${frame.procedure}`);
          void answer(handlers, procedure, client, frame).then((succeeded) => {
            if (!succeeded || !streamProcedures.includes(procedure!)) return;
            const stream = new FakeStream(client, frame);
            streams.set(frame.serial, stream);
            void options.onStream?.(stream);
          });
        },
        onStream: (frame) => streams.get(frame.serial)?.receive(frame),
      }),
    );
  });
  server.listen(options.socketPath);
  await once(server, "listening");
  return {
    socketPath: options.socketPath,
    handlers,
    clients,
    calls,
    emit(event, callbackId, payload) {
      for (const client of clients) {
        client.message(event.program, event.procedure, (writer) => {
          writer.writeInt(callbackId);
          event.codec.write(writer, payload);
        });
      }
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const client of clients) client.destroy();
      await closed;
    },
  };
}

async function answer(
  handlers: FakeHandlers,
  procedure: Procedure<unknown, unknown> | undefined,
  client: FakeClient,
  frame: Frame,
): Promise<boolean> {
  client.calls.active += 1;
  client.calls.most = Math.max(client.calls.most, client.calls.active);
  try {
    const handler = handlers[procedure?.name as ProcedureName] as
      ((args: unknown, context: FakeCallContext) => unknown) | undefined;
    if (procedure === undefined || handler === undefined) {
      throw fakeError(39, `unknown procedure: ${frame.procedure}`);
    }
    const args = procedure.argumentsCodec.read(new XdrReader(frame.payload));
    const result = await handler(args, { client, frame, handled });
    if (result === handled) return false;
    client.reply(frame, messageStatus.ok, (writer) => procedure.resultCodec.write(writer, result));
    return true;
  } catch (error) {
    const reported = isLibvirtError(error) ? error : fakeError(1, String(error));
    client.reply(frame, messageStatus.error, (writer) =>
      wireErrorCodec.write(writer, reported.fields),
    );
    return false;
  } finally {
    client.calls.active -= 1;
  }
}
