// @ts-check
import { byId } from "../dom.js";
import { zoneName } from "../zone.js";

// Which zone an empty field stands for.
const zone = /** @type {HTMLInputElement} */ (byId("zone-field"));
zone.placeholder = zoneName;
