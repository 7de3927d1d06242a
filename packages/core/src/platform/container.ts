import "reflect-metadata";
import { container, type DependencyContainer, instanceCachingFactory } from "tsyringe";

declare const type: unique symbol;

/** The key of a part of the platform, with the part's type. */
export type Token<T> = symbol & { readonly [type]?: T };

/** Makes a token; the same in every copy of core. */
export function token<T>(id: string): Token<T> {
  return Symbol.for(`@polyvisor/core/${id}`) as Token<T>;
}

/** The parts of one platform, each made when it is first asked for. */
export class Container {
  readonly #container: DependencyContainer = container.createChildContainer();

  /** Says how a part is made; a later call for the same token replaces the earlier one. */
  bind<T>(key: Token<T>, make: (parts: Container) => T): void {
    this.#container.register<T>(key as symbol, {
      useFactory: instanceCachingFactory(() => make(this)),
    });
  }

  /** The part. */
  use<T>(key: Token<T>): T {
    return this.#container.resolve<T>(key as symbol);
  }
}
