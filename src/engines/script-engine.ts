/**
 * An engine whose turns are known beforehand, made of a schema for its input and a function that writes the script of a
 * turn. `echo` and `scripted` are made by it. State: none.
 */
import type { z } from 'zod';
import type { Engine, TurnRequest } from '../../actors/ports.ts';
import { checkInput } from './input.ts';
import { refuseTurn, userFailure } from './refused-turn.ts';
import { playTurn, type TurnScript } from './turn-script.ts';

export interface ScriptEngineDefinition<Input> {
  readonly kind: string;
  readonly input: z.ZodType<Input>;
  script(input: Input, request: TurnRequest): TurnScript;
}

export function createScriptEngine<Input>(definition: ScriptEngineDefinition<Input>): Engine {
  return {
    kind: definition.kind,
    capabilities: ['steer', 'follow_up'],
    ready: true,
    prepare: () => Promise.resolve(),
    checkInput(input) {
      const checked = checkInput(definition.input, input);
      return 'problem' in checked ? checked.problem : undefined;
    },
    start(request, emit) {
      const checked = checkInput(definition.input, request.sessionInput);
      // Sessions outlive releases: what an older one accepted may be wrong today, and that is no bug of the engine.
      if ('problem' in checked) return refuseTurn(userFailure(`The session's input is not valid: ${checked.problem}`));
      return playTurn(definition.script(checked.input, request), request, emit);
    },
    forget: () => undefined,
    close: () => Promise.resolve(),
  };
}
