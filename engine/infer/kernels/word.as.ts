// One word of the plan.
import { PLAN } from "./plan";

@inline
export function word(n: i32): i32 {
  return load<i32>(PLAN + (<usize>n << 2));
}
