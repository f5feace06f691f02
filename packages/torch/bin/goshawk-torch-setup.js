#!/usr/bin/env node
import '../dist/native-build/main.js';
