/**
 * The class of a piece of data: what may become of it. A command's field has its class beside its schema (`classed`).
 * State: the classes that were given.
 */
import { z } from 'zod';

/**
 * - `identity`: names and orders things; never changed.
 * - `operational`: what is asked of the server and how it ends, without what is said; outlives the content.
 * - `content`: what people and engines say; redaction may change it, retention and purge take it.
 * - `secret`: never stored, never logged.
 */
export type DataClass = 'identity' | 'operational' | 'content' | 'secret';

const classes = z.registry<{ readonly dataClass: DataClass }>();

/** Gives a field its class; the schema is the same one. */
export function classed<Schema extends z.core.$ZodType>(dataClass: DataClass, schema: Schema): Schema {
  classes.add(schema, { dataClass });
  return schema;
}

/** Of a field, optional or not; `undefined` when nobody gave it one. */
export function dataClassOf(schema: z.core.$ZodType): DataClass | undefined {
  const own = classes.get(schema)?.dataClass;
  if (own !== undefined) return own;
  const { innerType } = schema._zod.def as { readonly innerType?: z.core.$ZodType };
  return innerType === undefined ? undefined : dataClassOf(innerType);
}
