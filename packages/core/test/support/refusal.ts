import type { Kind, Kinds, NewResource } from "@polyvisor/core";
import { KINDS } from "../../src/api/kinds.ts";
import type { KindDefinition } from "../../src/api/kind.ts";
import type { Resource } from "../../src/api/meta.ts";
import { validateManifest } from "../../src/platform/validate-manifest.ts";
import { World } from "./world.ts";

/** What a platform says to a manifest; the text "accepted" when it takes it. */
export async function answer(manifest: object, prepare: readonly object[] = []): Promise<string> {
  await using world = await World.open();
  for (const resource of prepare) await put(world, resource);
  return await ask(world, manifest);
}

/** What a platform says to a change of a resource; `status` is what is known about it before. */
export async function answerToChange(
  before: object,
  after: object,
  status?: object,
): Promise<string> {
  await using world = await World.open();
  await put(world, before, status);
  return await ask(world, after);
}

function ask(world: World, manifest: object): Promise<string> {
  return world.platform.apply([manifest]).then(
    () => "accepted",
    (error: Error) => error.message,
  );
}

/** Stores a resource past the rules, as if an earlier version had taken it. */
export async function put(world: World, manifest: object, status?: object): Promise<void> {
  const { kind } = manifest as { kind: Kind };
  const definition = KINDS[kind] as unknown as KindDefinition<Resource>;
  const { metadata, content } = validateManifest(definition, manifest as Record<string, unknown>);
  const stored = await world.store.create(kind, {
    apiVersion: definition.apiVersion,
    kind,
    metadata,
    ...content,
  } as unknown as NewResource<Kinds[Kind]>);
  if (status) await world.store.updateStatus(kind, { ...stored, status } as Kinds[Kind]);
}
