/**
 * Loss forms (paper §5.1): what training descends on, token by token. Evaluation is always the
 * plain cross-entropy.
 *
 * CE is the cross-entropy of a token in nats, e its entropy estimate, a constant to the gradient:
 *
 *   form             value                      gradient                     paper §5.1
 *   plain            CE                         ∇CE                          –
 *   weight           (1 − e)·CE, e in [0, 1]    (1 − e)·∇CE                  form 1
 *   excess-weight    (CE − e)·CE                (2·CE − e)·∇CE               form 2
 *   signed           CE − e                     ∇CE: the null control        form 3
 *   absolute         scale·|CE − e|             scale·sign(CE − e)·∇CE       form 4
 *   flooding         |mean of CE − e|           sign(mean of CE − e)·∇CE     –
 *   one-sided        max(CE, e)                 [CE > e]·∇CE                 –
 *   below            CE·[e < threshold]         [e < threshold]·∇CE          form 5
 *   above            CE·[CE > e]                [CE > e]·∇CE, as one-sided   form 5
 *   label-smoothing  (1 − s)·CE + s·mean −ln p  of all of the vocabulary     a usual remedy
 *
 * Flooding (Ishida et al. 2020) holds the mean over a batch, and not each token; with one e for all
 * tokens it is the original's, whose level is e.
 *
 * Legend: T targets, B batch.
 */

import { abs, add, mul, step, sub, type Tensor } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import type { TokenLosses } from "../models/mod.ts";

export type Objective =
  | Readonly<{ form: (typeof FORMS_WITHOUT_OPTIONS)[number] }>
  | Readonly<{ form: "absolute"; scale: number }>
  | Readonly<{
    form: "below";
    /** Nats. */
    threshold: number;
  }>
  | Readonly<{
    form: "label-smoothing";
    /** s, the share of the target that all tokens of the vocabulary have in common. */
    share: number;
  }>;

const FORMS_WITHOUT_OPTIONS = [
  "plain",
  "weight",
  "excess-weight",
  "signed",
  "flooding",
  "one-sided",
  "above",
] as const;

/** The loss forms by the names that users type. */
export const OBJECTIVE_FORMS = [
  ...FORMS_WITHOUT_OPTIONS,
  "absolute",
  "below",
  "label-smoothing",
] as const satisfies readonly Objective["form"][];

/** The factor of the paper's form 4. */
export const PAPER_SCALE = 2.5;

export const PLAIN: Objective = { form: "plain" };

/** Whether a form compares with an estimate of every token, which the windows must then have. */
export function needsEstimates({ form }: Objective): boolean {
  return form !== "plain" && form !== "label-smoothing";
}

/** @throws UserError for an unknown form, and when an option of the form is out of range. */
export function checkObjective(objective: Objective): void {
  if (!OBJECTIVE_FORMS.includes(objective.form)) {
    throw new UserError(
      `objective: expected one of ${OBJECTIVE_FORMS.join(", ")}, found ${objective.form}`,
    );
  }
  switch (objective.form) {
    case "absolute":
      if (objective.scale > 0 && Number.isFinite(objective.scale)) return;
      throw new UserError(`scale: expected a positive number, found ${objective.scale}`);
    case "below":
      if (Number.isFinite(objective.threshold)) return;
      throw new UserError(`threshold: expected a number of nats, found ${objective.threshold}`);
    case "label-smoothing":
      if (objective.share >= 0 && objective.share < 1) return;
      throw new UserError(`share: expected 0 or more and less than 1, found ${objective.share}`);
  }
}

/**
 * The loss of every scored token, `[T, B]`, 0 elsewhere; of flooding CE − e, whose mean over the
 * batch is then made positive ({@linkcode objectiveOfMean}).
 *
 * @param estimatesTB e, nats, or of `weight` a number from 0 to 1; forms that need none ignore it.
 * @throws RangeError when the form needs estimates, or the vocabulary's losses, and there are none.
 */
export function objectiveLosses(
  objective: Objective,
  { lossTB, uniformTB, scoredTB }: TokenLosses,
  estimatesTB?: Tensor,
): Tensor {
  const estimates = () => required(estimatesTB, "estimates");
  const excess = () => sub(lossTB, estimates());
  const value = (): Tensor => {
    switch (objective.form) {
      case "plain":
        return lossTB;
      case "weight":
        return mul(sub(1, estimates()), lossTB);
      case "excess-weight":
        return mul(excess(), lossTB);
      case "signed":
      case "flooding":
        return excess();
      case "absolute":
        return mul(abs(excess()), objective.scale);
      case "one-sided": // e + max(CE − e, 0), whose gradient at the tie is 0 and not a half
        return add(estimates(), mul(excess(), step(excess())));
      case "below":
        return mul(lossTB, step(sub(objective.threshold, estimates())));
      case "above":
        return mul(lossTB, step(excess()));
      case "label-smoothing": {
        const { share } = objective;
        return add(mul(lossTB, 1 - share), mul(required(uniformTB, "losses"), share));
      }
    }
  };
  return mul(value(), scoredTB);
}

/** What training descends on, of the mean over a batch's tokens. */
export function objectiveOfMean({ form }: Objective, loss: Tensor): Tensor {
  return form === "flooding" ? abs(loss) : loss;
}

function required(tensorTB: Tensor | undefined, what: string): Tensor {
  if (tensorTB === undefined) throw new RangeError(`a loss form: expected ${what}, found none`);
  return tensorTB;
}
