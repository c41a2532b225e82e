// Where the public hub is. Apart from `hub.ts`, so that asking for the address loads no client of it.

export const HUB_URL = "https://huggingface.co";
