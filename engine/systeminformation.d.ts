// The library describes itself as a whole; the engine bundles its battery alone, a tenth of it, and reads these fields.
declare module "systeminformation/lib/battery.js" {
  function battery(): Promise<{
    readonly hasBattery: boolean;
    readonly acConnected: boolean;
    readonly isCharging: boolean;
    /** 0–100; null where the system does not tell. */
    readonly percent: number | null;
  }>;
  export = battery;
}
