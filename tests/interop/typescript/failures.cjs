// Messages and stack traces of failures are encrypted too. The SDK loads this file by its path.
"use strict";

const { DefaultFailureConverter } = require("@temporalio/common");

exports.failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
