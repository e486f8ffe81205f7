/**
 * Which model a session asked for, among those that pi knows. Nothing chosen: pi takes the session's last one, or the
 * default of its settings, or the first for which there is a key.
 */
import type { PiInput } from './input.ts';
import type { PiModel, PiModels } from './module.ts';

export function chooseModel(models: PiModels, input: PiInput): { model?: PiModel } | { problem: string } {
  const { provider, model: id } = input ?? {};
  if (id === undefined) return {};
  if (provider !== undefined) {
    const model = models.getModel(provider, id);
    return model === undefined ? { problem: `pi knows no model ${provider}/${id}` } : { model };
  }
  const [model, ...others] = models.getModels().filter((candidate) => candidate.id === id);
  if (model === undefined) return { problem: `pi knows no model ${id}` };
  if (others.length === 0) return { model };
  const providers = [model, ...others].map((candidate) => candidate.provider).join(', ');
  return { problem: `The model ${id} is offered by ${providers}: name the provider` };
}
