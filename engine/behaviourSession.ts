// The side of one LSP session that watches what becomes of offers: counts them for the person, and lets the gate learn.
import envPaths from "env-paths";
import type { TextDocument } from "vscode-languageserver-textdocument";
import { type Behaviour, dayOf, openBehaviour } from "./behaviour.ts";
import { learn, NO_SHIFT } from "./completion/gate.ts";
import type { Gate } from "./completion/openGate.ts";
import { type Outcome, Outcomes, type ShownOffer } from "./outcomes.ts";
import { NO_COUNTS, type Statistics } from "./protocol.ts";
import type { Session } from "./session.ts";

/** Outcomes come in ones and twos; the file is written when they pause. */
const SAVE_PAUSE_MS = 2000;

export class BehaviourSession {
  readonly #session: Session;
  readonly #outcomes = new Outcomes((outcome) => this.#take(outcome));
  #behaviour: Behaviour | undefined;
  #adopted: { readonly gate: Gate; readonly learns: boolean } | undefined;
  #saving: NodeJS.Timeout | undefined;
  #settling: NodeJS.Timeout | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Reads what earlier sessions left. */
  async start(): Promise<void> {
    const { behaviour, problems } = await openBehaviour(
      this.#session.options.storageDir ?? envPaths("precis", { suffix: "" }).cache,
    );
    this.#behaviour = behaviour;
    this.#session.log(problems);
  }

  shown(shown: ShownOffer): void {
    this.#outcomes.shown(shown, performance.now());
  }

  documentChanged(document: TextDocument): void {
    this.#gate();
    this.#outcomes.changed(document.uri, document.getText(), performance.now());
    this.#settleLater();
  }

  documentClosed(document: TextDocument): void {
    this.#outcomes.closed(document.uri, performance.now());
  }

  accepted(id: number): void {
    this.#outcomes.accepted(id, performance.now());
    this.#settleLater();
  }

  statistics(): Statistics {
    const rows = this.#behaviour?.counts ?? [];
    const total = { ...NO_COUNTS };
    for (const { counts } of rows)
      for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += counts[name];
    const gate = this.#gate();
    return {
      total,
      days: rows.map(({ day, language, counts }) => ({ day, language, ...counts })),
      gate: gate === undefined ? null : { answers: gate.shift.answers },
    };
  }

  /** Counts and what was learned are gone; the gate is the shipped one again. */
  async forget(): Promise<void> {
    clearTimeout(this.#saving);
    this.#saving = undefined;
    this.#outcomes.forget();
    const gate = this.#gate();
    if (gate !== undefined) gate.shift = NO_SHIFT;
    await this.#behaviour?.forget();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#saving);
    clearTimeout(this.#settling);
    this.#outcomes.forget();
    this.#session.log((await this.#behaviour?.save()) ?? []);
  }

  /** The engine's gate; one that is new takes up what was learned with its reader, as long as it may learn. */
  #gate(): Gate | undefined {
    const gate = this.#session.engine?.gate;
    const learns = this.#session.settings["completion.learn"];
    const isNew = gate !== this.#adopted?.gate || learns !== this.#adopted?.learns;
    if (gate !== undefined && isNew && this.#behaviour !== undefined) {
      gate.shift = learns ? this.#behaviour.shiftFor(gate.model.reader) : NO_SHIFT;
      this.#adopted = { gate, learns };
    }
    return gate;
  }

  #take({ fate, shown, characters }: Outcome): void {
    this.#behaviour?.count(fate, shown.language, characters, dayOf(new Date()));
    this.#learn(fate, shown);
    this.#saving ??= setTimeout(async () => {
      this.#saving = undefined;
      this.#session.log((await this.#behaviour?.save()) ?? []);
    }, SAVE_PAUSE_MS);
  }

  /** What was taken counts when it has stayed; until then nobody knows. */
  #learn(fate: Outcome["fate"], { features }: ShownOffer): void {
    const gate = this.#gate();
    if (!this.#adopted?.learns) return;
    if (gate === undefined || features === undefined || fate === "accepted" || fate === "part") return;
    gate.shift = learn(gate.model, gate.shift, features, fate === "survived" || fate === "typed" ? 1 : 0);
    this.#behaviour?.keepShift(gate.model.reader, gate.shift);
  }

  #settleLater(): void {
    const { nextAt } = this.#outcomes;
    clearTimeout(this.#settling);
    if (nextAt === undefined) return;
    this.#settling = setTimeout(
      () => {
        this.#outcomes.settle(performance.now());
        this.#settleLater();
      },
      Math.max(0, nextAt - performance.now()),
    );
    this.#settling.unref();
  }
}
