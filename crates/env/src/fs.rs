//! Files. stub
