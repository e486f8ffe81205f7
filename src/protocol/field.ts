/**
 * A zod type for one field with one rule.
 *
 * zod runs each refinement of a field as a step of its own, which costs more than the whole parsing of a short frame; here
 * the rule is the type's own parser. Everything else (objects, optional fields, choices, numbers) is zod's. State: none.
 */
import { z } from 'zod';

/** What is wrong with a value: nothing, one thing, or things at places inside it. Texts never quote the value. */
export type Problem = undefined | string | readonly Finding[];

interface Finding {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

interface FieldDef extends z.core.$ZodTypeDef {
  /** What the field's JSON Schema starts from; `describes` says the rest. */
  readonly type: 'unknown';
  readonly problemOf: (value: unknown) => Problem;
}

interface FieldInternals<Value> extends z.core.$ZodTypeInternals<Value, Value> {
  readonly def: FieldDef;
}

export interface Field<Value> extends z.core.$ZodType<Value, Value, FieldInternals<Value>> {}

export const Field: z.core.$constructor<Field<unknown>, FieldDef> = z.core.$constructor('Field', (field, def) => {
  z.core.$ZodType.init(field, def);
  field._zod.parse = (payload) => {
    const problem = def.problemOf(payload.value);
    if (problem === undefined) return payload;
    const findings = typeof problem === 'string' ? [{ path: [], message: problem }] : problem;
    for (const { path, message } of findings)
      payload.issues.push({ code: 'custom', input: payload.value, inst: field, path: [...path], message });
    return payload;
  };
});

/** `describes` is the JSON Schema of the values that pass, as far as that can say it. */
export function field<Value>(describes: z.core.JSONSchema.BaseSchema, problemOf: (value: unknown) => Problem) {
  const made = new Field({ type: 'unknown', problemOf }) as Field<Value>;
  z.globalRegistry.add(made, describes);
  return made;
}

/** A field of text. `problemOf` is asked about strings alone; `error` is the answer to everything else. */
export function textField(error: string, charsMax: number, problemOf: (text: string) => string | undefined) {
  return field<string>({ type: 'string', maxLength: charsMax }, (value) =>
    typeof value === 'string' ? problemOf(value) : error,
  );
}
