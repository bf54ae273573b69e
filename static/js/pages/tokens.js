// @ts-check
import { copyButtons } from "../copying.js";

copyButtons();
