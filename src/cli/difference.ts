/**
 * What differs between two values that are JSON, path by path. Arrays are compared place by place: what a session adds, it adds
 * at the end. Pure.
 */
import type { Json } from '../../actors/message.ts';

/** `before` is missing where something was added, `after` where it was taken away. */
export interface Change {
  readonly path: string;
  readonly before?: Json;
  readonly after?: Json;
}

export function differences(before: Json | undefined, after: Json | undefined, path = ''): Change[] {
  if (before === undefined || after === undefined) {
    if (before === after) return [];
    return [before === undefined ? { path, after: after! } : { path, before }];
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    return Array.from({ length }, (_, index) => differences(before[index], after[index], `${path}[${index}]`)).flat();
  }
  if (isObject(before) && isObject(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return names.flatMap((name) => differences(valueOf(before, name), valueOf(after, name), joined(path, name)));
  }
  return Object.is(before, after) ? [] : [{ path, before, after }];
}

type JsonObject = { readonly [key: string]: Json };

/** Nothing that an object inherits is a value of it. */
function valueOf(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function joined(path: string, name: string): string {
  if (!/^[A-Za-z_$][\w$]*$/.test(name)) return `${path}[${JSON.stringify(name)}]`;
  return path === '' ? name : `${path}.${name}`;
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
