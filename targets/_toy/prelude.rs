//! The toy's ops call nothing outside themselves.
