"""OpenTelemetry, by its own SDK. Imported only where an endpoint is set: loading it takes a tenth of a second."""
